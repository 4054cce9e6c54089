from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.core.errors import BadInputError
from sequela.editors import create_editor
from sequela.studies.tuning import grid_of, harmonic_mean, smoothed
from support.tiny import LAYERS, tiny_language_model

MODEL = tiny_language_model("llama")


@given(st.lists(st.booleans(), min_size=1))
def test_a_smoothed_mean_is_never_zero_or_one(values: list[bool]) -> None:
    found = smoothed([float(value) for value in values])
    assert 0 < found < 1
    assert found == pytest.approx((sum(values) + 0.5) / (len(values) + 1))


def test_the_harmonic_mean_is_dominated_by_the_smallest_value() -> None:
    assert harmonic_mean([0.5, 0.5]) == pytest.approx(0.5)
    assert harmonic_mean([1.0, 0.1]) == pytest.approx(2 / 11)


@pytest.mark.parametrize(("method", "span"), [("rome", 1), ("memit", 2), ("ultraedit", 2)])
def test_by_default_layers_at_several_depths_are_tried(method: str, span: int) -> None:
    grid = grid_of(create_editor(method), MODEL)
    choices = {tuple(settings["layers"]) for settings in grid}
    assert len(choices) >= 3
    assert all(len(layers) <= span and max(layers) < LAYERS for layers in choices)
    has_targets = method != "ultraedit"
    assert ("clamp_norm_factor" in grid[0]) == has_targets
    assert len(grid) == len(choices) * (4 if has_targets else 1)


def test_axes_are_combined() -> None:
    grid = grid_of(create_editor("kn"), MODEL, {"steps": [1, 2], "p": [0.1, 0.5, 0.9]})
    assert len(grid) == 6
    assert {"steps": 2, "p": 0.5} in grid


def test_an_unknown_axis_and_missing_axes_are_reported() -> None:
    with pytest.raises(BadInputError, match="kn has no setting 'stpes'"):
        grid_of(create_editor("kn"), MODEL, {"stpes": [1]})
    with pytest.raises(BadInputError, match="neither layers nor steps"):
        grid_of(create_editor("kn"), MODEL)
