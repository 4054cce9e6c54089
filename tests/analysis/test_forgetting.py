from __future__ import annotations

import pytest

from sequela.analysis import Collapses, ForgottenEdits, mostly_forgotten
from sequela.results import Measurement
from support.measurements import expressed, perplexity
from support.suites import SUITES


def found_among(*measurements: Measurement) -> list[ForgottenEdits]:
    return mostly_forgotten(measurements, Collapses.among(measurements, SUITES))


def test_it_is_reported_at_the_last_checkpoint_of_each_trajectory() -> None:
    found = found_among(
        expressed(100, 9), expressed(50, 40), expressed(10, 0, "last-only"), expressed(100, 90, "last-only")
    )
    assert [(one.variant, one.n_edits, one.n_expressed) for one in found] == [("", 100, 9)]


@pytest.mark.parametrize(("n_edits", "value"), [(0, 0), (5, 1), (100, 10), (100, None)])
def test_enough_expressed_edits_are_not_reported(n_edits: int, value: float | None) -> None:
    assert found_among(expressed(n_edits, value)) == []


@pytest.mark.parametrize("n_edits", [1, 2, 3, 10, 1000])
def test_no_expressed_edit_is_reported_at_any_number_of_edits(n_edits: int) -> None:
    found = found_among(expressed(n_edits, 0))
    assert [(one.n_edits, one.n_expressed) for one in found] == [(n_edits, 0)]


def test_a_collapsed_model_is_not_reported_again() -> None:
    assert found_among(perplexity(100, 30.0), expressed(100, 0))
    assert found_among(perplexity(100, 3000.0), expressed(100, 0)) == []
