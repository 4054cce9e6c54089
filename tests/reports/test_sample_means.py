"""Means over samples of edits."""

from __future__ import annotations

import math

import pytest

from sequela.analysis import CheckedMeasurement, check_validity
from sequela.reports.sample_means import sample_means
from sequela.reports.summary import summarize
from sequela.results import mean_and_stderr
from support.measurements import expressed, perplexity
from support.suites import SUITES

VALUES = {(0, 0): 3.0, (0, 1): 5.0, (1, 0): 1.0, (1, 1): 1.0, (2, 0): 4.0, (2, 1): 8.0}
"""The number of edits that a model expresses, by sample and shuffle seed."""


def trajectories(**changes: float | None) -> list[CheckedMeasurement]:
    values = {**VALUES, **({(2, 1): changes["last"]} if changes else {})}
    found = [
        expressed(9, value, edit_sample=sample, order_seed=seed) for (sample, seed), value in values.items()
    ]
    return check_validity(found, SUITES)


def test_the_orders_of_a_sample_are_one_value() -> None:
    (row,) = sample_means(summarize(trajectories(), SUITES), SUITES)
    mean, error = mean_and_stderr([4.0, 1.0, 6.0])
    assert mean is not None
    assert error == pytest.approx(math.sqrt(19 / 3 / 3))
    assert (row.n_edits, row.n_samples, row.n_trajectories) == (9, 3, 6)
    assert row.cells == (f"{mean:.2f} ± {error:.1f}",)


def test_a_trajectory_without_a_value_leaves_no_mean() -> None:
    (row,) = sample_means(summarize(trajectories(last=None), SUITES), SUITES)
    assert row.cells == ("–",)


def test_a_run_without_samples_or_with_one_has_no_means() -> None:
    unsampled = [perplexity(5, 20.0).model_copy(update={"order_seed": seed}) for seed in (0, 1)]
    for found in (unsampled, [one.model_copy(update={"edit_sample": 4}) for one in unsampled]):
        assert sample_means(summarize(check_validity(found, SUITES), SUITES), SUITES) == ()


def test_the_unedited_model_has_a_row_for_each_sample() -> None:
    before = perplexity(0, 20.0).model_copy(update={"editor": "none"})
    after = [perplexity(5, 21.0).model_copy(update={"edit_sample": sample}) for sample in (3, 1)]
    summary = summarize(check_validity([before, *after], SUITES), SUITES)
    assert [(row.edit_sample, row.n_edits) for row in summary.rows] == [(3, 0), (1, 0), (3, 5), (1, 5)]
    assert [title for title, _ in summary.trajectories()] == [
        f"mend on m, edits from builtin, sample {sample}, shuffle seed 0" for sample in (3, 1)
    ]
    assert all([row.n_edits for row in rows] == [0, 5] for _, rows in summary.trajectories())
