"""Methods are found by name, both built-in ones and those of installed packages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.editors import Resources, create_editor, describe_editors, editor_class, editor_names
from sequela.editors.catalog import METHODS
from sequela.editors.registry import check_editor
from support.edits import TINY_EDITS
from support.plugins import Install
from support.sessions import edit_in_batches
from support.statistics import tiny_statistics
from support.tiny import tiny_language_model

DOUBLING = {"sequela.editors": {"doubling": "sequela_example_plugin.records:DOUBLING"}}


def test_every_method_is_known_under_its_own_name() -> None:
    assert set(METHODS) <= set(editor_names())
    for name in METHODS:
        assert editor_class(name).info is METHODS[name]
        assert create_editor(name).hyperparameters == METHODS[name].settings()


def test_the_listing_has_each_setting_with_its_default() -> None:
    described = {editor.name: editor for editor in describe_editors()}
    for name in METHODS:
        settings = described[name].hyperparameters
        assert described[name].origin == "sequela"
        assert described[name].summary
        assert set(settings) == set(METHODS[name].settings.model_fields)
        assert all(" [default: " in text and not text.startswith(" ") for text in settings.values())


@pytest.mark.parametrize(("wrong", "meant"), [("rmoe", "rome"), ("MEMIT", "memit"), ("ftm", "ft-m")])
def test_an_unknown_method_is_reported_with_near_matches(wrong: str, meant: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Unknown method '{wrong}'") as caught:
        create_editor(wrong)
    assert meant in caught.value.near
    assert meant in str(caught.value)


def test_an_unknown_method_without_near_matches_is_reported_with_all_names() -> None:
    with pytest.raises(UnknownNameError, match=r"Known: .*ft-m, grace, ike, kn, lora, malmen, melo, memit"):
        create_editor("xyzzy")


def test_an_unknown_setting_is_reported_with_the_allowed_ones() -> None:
    with pytest.raises(BadInputError) as caught:
        create_editor("rome", {"v_lrr": 0.1})
    description = str(caught.value)
    assert "rome has no setting 'v_lrr'. Did you mean 'v_lr'?" in description
    assert all(name in description for name in METHODS["rome"].settings.model_fields)


def test_every_invalid_value_is_reported() -> None:
    with pytest.raises(BadInputError) as caught:
        create_editor("memit", {"v_lr": -1, "layers": [], "v_num_grad_steps": "many"})
    descriptions = str(caught.value).splitlines()
    assert len(descriptions) == 3
    assert any("v_lr = -1" in line for line in descriptions)
    assert any("v_num_grad_steps = 'many'" in line for line in descriptions)


NUMBERS = [
    (name, field, schema)
    for name, info in METHODS.items()
    for field, schema in info.settings.model_json_schema()["properties"].items()
    if {"integer", "number"} & {one.get("type") for one in (schema, *schema.get("anyOf", ()))}
]


@pytest.mark.parametrize(("method", "setting", "schema"), NUMBERS)
def test_a_number_is_no_truth_value_and_no_endless_loop(
    method: str, setting: str, schema: dict[str, Any]
) -> None:
    for value in (True, False):
        with pytest.raises(BadInputError, match=f"{setting} = {value}: expected a number, not true or false"):
            create_editor(method, {setting: value})
    kinds = {one.get("type") for one in (schema, *schema.get("anyOf", ()))}
    if "integer" in kinds:
        with pytest.raises(BadInputError, match=f"{setting} = 99999999999999999: expected at most 1000000"):
            create_editor(method, {setting: 99_999_999_999_999_999})


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("lora", {"layers": [0, True]}),
        ("memit+norm", {"norm": {"weight": True}}),
        ("memit+rect", {"rect": {"keep": True}}),
    ],
)
def test_a_truth_value_is_found_within_lists_and_settings_of_regularizers(
    method: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(BadInputError, match="expected a number, not true or false"):
        create_editor(method, settings)


def test_a_plug_in_is_a_method_like_any_other(install_plugin: Install, tmp_path: Path) -> None:
    install_plugin(DOUBLING)
    assert "doubling" in editor_names()
    (described,) = (editor for editor in describe_editors() if editor.name == "doubling")
    assert described.origin == "sequela-example-plugin 1.0.0"
    assert set(described.hyperparameters) == {"preset", "layer", "factor"}
    with pytest.raises(BadInputError, match="Did you mean 'factor'"):
        create_editor("doubling", {"facter": 3})

    model = tiny_language_model("llama")
    before = model.mlp_out_weight(2).detach().clone()
    resources = Resources(tiny_statistics(model, tmp_path))
    editor = create_editor("doubling", {"layer": 2, "factor": 3.0})
    *_, last = edit_in_batches(editor, model, TINY_EDITS[:3], 2, resources)
    applied = last.delta.apply(model)
    torch.testing.assert_close(model.mlp_out_weight(2).detach(), 27 * before)
    applied.revert()
    assert torch.equal(model.mlp_out_weight(2), before)


def test_a_plug_in_can_name_only_its_class(install_plugin: Install) -> None:
    install_plugin({"sequela.editors": {"doubling": "sequela_example_plugin.method:Doubling"}})
    assert (
        check_editor("doubling", {"factor": 3}).info.implementation
        == "sequela_example_plugin.method:Doubling"
    )
    assert type(create_editor("doubling")).__name__ == "Doubling"


def test_a_regularizer_of_a_package_joins_any_method(install_plugin: Install) -> None:
    install_plugin({"sequela.regularizers": {"halving": "sequela_example_plugin.records:HALVING"}})
    editor = create_editor("ft-m+halving", {"halving": {"share": 0.25}})
    assert editor.settings["halving"] == {"share": 0.25}
    (described,) = (one for one in describe_editors() if one.name == "halving")
    assert (described.kind, described.origin) == ("regularizer", "sequela-example-plugin 1.0.0")


@pytest.mark.parametrize(
    ("entry_point", "expected"),
    [
        ("sequela_no_such_module:Editor", r"\(sequela_no_such_module:Editor\) can't be imported"),
        ("sequela_example_plugin.method:NoSuchClass", "can't be imported"),
        ("sequela_example_plugin.records:HALVING", "is not a class derived from `sequela.editors.Editor`"),
        ("sequela_example_plugin.records:DOUBLING", "has the name 'doubling'"),
    ],
)
def test_a_plug_in_that_is_no_editor_is_rejected_by_name(
    install_plugin: Install, entry_point: str, expected: str
) -> None:
    install_plugin({"sequela.editors": {"broken": entry_point}})
    with pytest.raises(BadInputError, match=expected) as caught:
        create_editor("broken")
    assert "sequela-example-plugin 1.0.0" in caught.value.message
    (listed,) = (one for one in describe_editors() if one.name == "broken")
    assert listed.problem == caught.value.message


def test_a_record_whose_class_is_no_editor_is_rejected(install_plugin: Install, tmp_path: Path) -> None:
    (tmp_path / "wrong_class.py").write_text(
        "from dataclasses import replace\n"
        "from sequela.editors.catalog import METHODS\n"
        "WRONG = replace(METHODS['rome'], name='wrong', implementation='pathlib:Path')\n",
        encoding="utf-8",
    )
    sys.path.insert(0, str(tmp_path))
    try:
        install_plugin({"sequela.editors": {"wrong": "wrong_class:WRONG"}})
        with pytest.raises(BadInputError, match="is not a class derived from"):
            create_editor("wrong")
    finally:
        sys.path.remove(str(tmp_path))


def test_a_plug_in_can_not_take_the_name_of_a_built_in_method(install_plugin: Install) -> None:
    install_plugin({"sequela.editors": {"rome": "sequela_example_plugin.method:Doubling"}})
    with pytest.raises(BadInputError, match=r"'rome' is taken: sequela and sequela-example-plugin 1\.0\.0"):
        editor_class("rome")
    built_in, provided = (one for one in describe_editors() if one.name == "rome")
    assert (built_in.origin, built_in.problem) == ("sequela", "")
    assert "taken" in provided.problem
