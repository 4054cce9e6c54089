"""Means over samples of edits, whose standard errors contain the variation between samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sequela.reports.formatting import format_with_error
from sequela.reports.summary import Summary, SummaryColumn, SummaryRow
from sequela.results import Suites, mean_and_stderr

NO_MEAN = "–"
"""The text of a cell of which a trajectory has no valid value: the mean of the others is another quantity."""


@dataclass(frozen=True)
class SampleMeansRow:
    """The headline numbers of a method after a number of edits, as means over samples.

    Args:
        model: The base model's name.
        label: The method and its variant.
        edit_source: The source of the edits.
        n_edits: The number of edits.
        n_samples: The number of samples that were edited so far.
        n_trajectories: The number of trajectories: the samples in each of their orders.
        cells: A text for each column of the summary: the mean of the samples' means over their orders, with
            its standard error over the samples.
    """

    model: str
    label: str
    edit_source: str
    n_edits: int
    n_samples: int
    n_trajectories: int
    cells: tuple[str, ...]


def sample_means(summary: Summary, suites: Suites) -> tuple[SampleMeansRow, ...]:
    """Returns the means of each method over its samples; none for a method with fewer than two.

    Orders of a sample share its edits, so that they are no independent trajectories: their mean is one value.

    Args:
        summary: The rows of the run, such as those of the last checkpoints.
        suites: The run's suites.
    """
    methods: dict[tuple[str, str, str, int], list[SummaryRow]] = defaultdict(list)
    for row in summary.rows:
        if row.n_edits and row.edit_sample is not None:
            methods[(row.model, row.label, row.edit_source, row.n_edits)].append(row)
    means = []
    for method, rows in methods.items():
        n_samples = len({row.edit_sample for row in rows})
        if n_samples > 1:
            cells = [_cell(rows, i, column, suites) for i, column in enumerate(summary.columns)]
            means.append(SampleMeansRow(*method, n_samples, len(rows), tuple(cells)))
    return tuple(means)


def _cell(rows: Sequence[SummaryRow], index: int, column: SummaryColumn, suites: Suites) -> str:
    values: dict[int | None, list[float]] = defaultdict(list)
    for row in rows:
        cell = row.cells[index]
        if cell is None or cell.value is None:
            return NO_MEAN
        values[row.edit_sample].append(cell.value)
    of_samples = [mean for some in values.values() if (mean := mean_and_stderr(some)[0]) is not None]
    metric = suites.metric(column.suite, column.metric)
    return format_with_error(*mean_and_stderr(of_samples), metric.is_share, metric.is_count)
