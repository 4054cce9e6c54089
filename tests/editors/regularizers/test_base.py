"""Regularizers by name, their settings, and the attributes of regularized methods."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.editors import Resources, create_editor
from support.edits import TINY_EDITS
from support.sessions import edit_in_batches
from support.statistics import tiny_statistics
from support.tiny import tiny_language_model


def test_settings_recreate_the_same_method() -> None:
    editor = create_editor("memit+rect+prune", {"layers": [1], "rect": {"keep": 0.3}})
    assert editor.name == "memit+rect+prune"
    assert editor.method == "memit"
    assert editor.settings["rect"] == {"keep": 0.3}
    assert editor.settings["prune"] == {"alpha": 1.2}
    again = create_editor(editor.name, editor.settings)
    assert again.settings == editor.settings


def test_a_regularized_method_is_otherwise_the_method() -> None:
    rome, regularized = create_editor("rome"), create_editor("rome+rect")
    assert regularized.info == replace(rome.info, name="rome+rect")
    for quality in ("location", "variant", "state_class"):
        assert getattr(regularized, quality) == getattr(rome, quality)


def test_a_misspelled_regularizer_is_reported_with_near_matches() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'rect'"):
        create_editor("memit+rekt")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"rect": {"keep": 0}}, "rect: keep = 0"),
        ({"rect": {"kepe": 0.5}}, "rect has no setting 'kepe'. Did you mean 'keep'?"),
        ({"rct": {"keep": 0.5}}, "memit has no setting 'rct'. Did you mean 'rect'?"),
        ({"rect": 0.5}, "rect"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, object], expected: str) -> None:
    with pytest.raises(BadInputError) as error:
        create_editor("memit+rect", settings)
    assert expected in error.value.message


def test_reports_have_the_norm_after_regularization(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    resources = Resources(tiny_statistics(model, tmp_path), contexts=("{}",))
    settings = {"layers": [1], "v_num_grad_steps": 3}
    (free,) = edit_in_batches(create_editor("rome", settings), model, TINY_EDITS[:1], 1, resources)
    rect = {**settings, "rect": {"keep": 0.05}}
    (held,) = edit_in_batches(create_editor("rome+rect", rect), model, TINY_EDITS[:1], 1, resources)
    (norm,) = held.delta.norms().values()
    weight = model.module.get_parameter(model.family.mlp_out_name(1))
    assert held.reports[0].relative_norm == pytest.approx(norm / float(weight.double().norm()))
    assert held.reports[0].relative_norm < free.reports[0].relative_norm


@pytest.mark.parametrize("regularizer", ["rect", "prune"])
def test_a_method_that_changes_no_weights_can_not_be_regularized(regularizer: str) -> None:
    """Otherwise the regularizer would silently have no effect."""
    with pytest.raises(
        BadInputError, match=f"'{regularizer}' can't regularize grace, which changes no weights"
    ):
        create_editor(f"grace+{regularizer}")
