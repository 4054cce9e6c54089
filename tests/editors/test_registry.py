"""Methods are found by name, ours and those of packages that were installed beside."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.editors import Resources, create_editor, describe_editors, editor_class, editor_names
from sequela.editors.catalog import METHODS
from sequela.editors.registry import ENTRY_POINT_GROUP, check_editor
from support.edits import TINY_EDITS
from support.sessions import edit_in_batches
from support.statistics import tiny_statistics
from support.tiny import tiny_language_model

PACKAGE = Path(__file__).parents[1] / "support" / "plugin_package"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Installs the plug-in package as pip would leave it: its source and its metadata on the path."""

    def as_pip_does(entry_points: str) -> None:
        info = tmp_path / "sequela_doubling-1.0.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sequela-doubling\nVersion: 1.0.0\n")
        (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{entry_points}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.syspath_prepend(str(PACKAGE / "src"))

    yield as_pip_does
    sys.modules.pop("sequela_doubling", None)


def declared_entry_point() -> str:
    """The entry point as the package's own pyproject.toml declares it."""
    lines = (PACKAGE / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    line = lines[lines.index(f'[project.entry-points."{ENTRY_POINT_GROUP}"]') + 1]
    return line.replace('"', "")


def test_every_method_is_known_under_its_own_name() -> None:
    assert set(METHODS) <= set(editor_names())
    for name in METHODS:
        assert editor_class(name).info is METHODS[name]
        assert create_editor(name).hyperparameters == METHODS[name].settings()


def test_the_listing_tells_each_setting_with_its_default() -> None:
    described = {editor.name: editor for editor in describe_editors()}
    for name in METHODS:
        settings = described[name].hyperparameters
        assert described[name].origin == "sequela"
        assert described[name].summary
        assert set(settings) == set(METHODS[name].settings.model_fields)
        assert all(" [default: " in text and not text.startswith(" ") for text in settings.values())


@pytest.mark.parametrize(("wrong", "meant"), [("rmoe", "rome"), ("MEMIT", "memit"), ("ftm", "ft-m")])
def test_an_unknown_method_is_met_with_what_comes_near(wrong: str, meant: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Unknown editor '{wrong}'") as caught:
        create_editor(wrong)
    assert meant in caught.value.near
    assert meant in str(caught.value)


def test_a_method_like_no_other_is_met_with_all_names() -> None:
    with pytest.raises(UnknownNameError, match=r"Known: .*ft-m, grace, ike, kn, lora, malmen, melo, memit"):
        create_editor("xyzzy")


def test_an_unknown_setting_is_met_with_the_allowed_ones() -> None:
    with pytest.raises(BadInputError) as caught:
        create_editor("rome", {"v_lrr": 0.1})
    told = str(caught.value)
    assert "rome has no setting 'v_lrr'. Did you mean 'v_lr'?" in told
    assert all(name in told for name in METHODS["rome"].settings.model_fields)


def test_every_wrong_value_is_told() -> None:
    with pytest.raises(BadInputError) as caught:
        create_editor("memit", {"v_lr": -1, "layers": [], "v_num_grad_steps": "many"})
    told = str(caught.value).splitlines()
    assert len(told) == 3
    assert any("v_lr = -1" in line for line in told)
    assert any("v_num_grad_steps = 'many'" in line for line in told)


def test_a_plug_in_is_a_method_like_any_other(install: Callable[[str], None], tmp_path: Path) -> None:
    install(declared_entry_point())
    assert "doubling" in editor_names()
    (described,) = (editor for editor in describe_editors() if editor.name == "doubling")
    assert described.origin == "sequela_doubling"
    assert set(described.hyperparameters) == {"layer", "factor"}
    with pytest.raises(BadInputError, match="Did you mean 'factor'"):
        create_editor("doubling", {"facter": 3})

    model = tiny_language_model("llama")
    before = model.mlp_out_weight(2).detach().clone()
    resources = Resources(tiny_statistics(model, tmp_path))
    editor = create_editor("doubling", {"layer": 2, "factor": 3.0})
    *_, last = edit_in_batches(editor, model, TINY_EDITS[:3], 2, resources)
    assert last.state.made == 3
    applied = last.delta.apply(model)
    torch.testing.assert_close(model.mlp_out_weight(2).detach(), 27 * before)
    applied.revert()
    assert torch.equal(model.mlp_out_weight(2), before)


def test_a_plug_in_can_be_listed_by_its_record_alone(install: Callable[[str], None]) -> None:
    """The record names the class, which is imported when it is to edit."""
    install("doubling = sequela_doubling:DOUBLING")
    (described,) = (editor for editor in describe_editors() if editor.name == "doubling")
    assert described.origin == "sequela_doubling"
    assert check_editor("doubling", {"factor": 3}).info.summary == described.summary
    assert type(create_editor("doubling")).__name__ == "Doubling"


@pytest.mark.parametrize(
    ("entry_point", "told"),
    [
        (
            "broken = sequela_no_such_module:Editor",
            r"'broken' \(sequela_no_such_module:Editor\) can't be imported",
        ),
        ("broken = sequela_doubling:NoSuchClass", "can't be imported"),
        ("broken = sequela_doubling:DoublingState", "not an editor class"),
    ],
)
def test_a_plug_in_that_is_no_editor_is_refused_by_name(
    install: Callable[[str], None], entry_point: str, told: str
) -> None:
    install(entry_point)
    with pytest.raises(BadInputError, match=told):
        create_editor("broken")


def test_a_plug_in_never_takes_the_name_of_our_own_methods(install: Callable[[str], None]) -> None:
    install("rome = sequela_doubling:Doubling")
    assert editor_class("rome").__module__ == "sequela.editors.methods.rome.editor"
