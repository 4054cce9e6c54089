"""The summary table of a run, for the terminal and the top of the report."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sequela.analysis import CheckedMeasurement
from sequela.reports.formatting import NOT_SHOWN, format_with_error
from sequela.results import (
    ALARMS,
    EDIT_QUALITY,
    UNEDITED,
    Suites,
    mean_and_stderr,
    order_label,
    protocol_info,
)
from sequela.results.metrics import EDITED_NEIGHBORS, NEIGHBORHOOD, SUPERSEDED, metric_rank
from sequela.results.protocols import AGREEMENT, FROM_EDITS, HITS, PROBABILITY, TEACHER_FORCED

SUPERSEDED_CELL = "– (superseded)"
"""The text of a cell of which later edits of the same questions have superseded all edits."""

CHANGED_CELL = "– (changed)"
"""The text of a cell of which edits in force change all neighborhood prompts on purpose."""

_NAMED_PROTOCOLS = frozenset(one.name for one in (TEACHER_FORCED, PROBABILITY, AGREEMENT, HITS))
"""The protocols of edit quality that a title names: those that are not the default, free decoding."""

_Checkpoint = tuple[str, str, str, int | None, int, int]
"""Model, label, edit source, sample of edits, shuffle seed and number of edits."""

SEVERAL = f"{NOT_SHOWN} (several results)"
"""The text of a cell with several results of one task, which would belong to different edited models."""


@dataclass(frozen=True)
class SummaryColumn:
    """A headline quantity.

    Args:
        title: The heading of the column.
        tasks: The tasks whose unweighted mean is shown; usually one.
        suite: The suite of the tasks.
        metric: The metric.
        protocol: The protocol.
    """

    title: str
    tasks: tuple[str, ...]
    suite: str
    metric: str
    protocol: str


@dataclass(frozen=True)
class SummaryCell:
    """A headline number with its standard error and number of items.

    Args:
        value: The value; None if there is none or it is invalid.
        stderr: The standard error; for a mean over tasks, that of the mean.
        n: The number of items.
        text: The value and its standard error, formatted.
        rules: The validity rules by which it is invalid.
    """

    value: float | None
    stderr: float | None
    n: int
    text: str
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class SummaryRow:
    """One checkpoint of one trajectory; `cells` has a cell for each column, None if nothing was measured.

    A count of edits or prompts that has no measurement, because there was nothing to count, is 0.
    """

    model: str
    label: str
    edit_source: str
    edit_sample: int | None
    order_seed: int
    n_edits: int
    cells: tuple[SummaryCell | None, ...]

    @property
    def trajectory(self) -> tuple[object, ...]:
        """The trajectory: model, method, source, sample and shuffle seed."""
        return (self.model, self.label, self.edit_source, self.edit_sample, self.order_seed)


@dataclass(frozen=True)
class Summary:
    """The columns and rows of the summary table."""

    columns: tuple[SummaryColumn, ...]
    rows: tuple[SummaryRow, ...]

    def trajectories(self) -> list[tuple[str, tuple[SummaryRow, ...]]]:
        """Returns a title and the rows of each trajectory, starting with the unedited model."""
        unedited = {(row.model, row.edit_sample): row for row in self.rows if row.n_edits == 0}
        grouped: dict[tuple[object, ...], list[SummaryRow]] = defaultdict(list)
        for row in self.rows:
            if row.n_edits > 0:
                grouped[row.trajectory].append(row)
        return [
            (
                f"{first.label} on {first.model}, edits from {first.edit_source}, "
                f"{order_label(first.edit_sample, first.order_seed)}",
                (*([unedited[at]] if (at := (first.model, first.edit_sample)) in unedited else []), *rows),
            )
            for first, *others in grouped.values()
            for rows in ((first, *others),)
        ]


def summarize(measurements: Sequence[CheckedMeasurement], suites: Suites) -> Summary:
    """Returns the headline numbers of all checkpoints.

    The unedited model is in the first row, and edit quality in the first columns. Of a study with samples, it
    has a row for each, which repeats what belongs to no sample.

    Args:
        measurements: The measurements, in the order of `ResultsStore.measurements`.
        suites: The run's suites, for the titles of tasks.
    """
    columns = _columns(measurements, suites)
    checkpoints: dict[_Checkpoint, list[CheckedMeasurement]] = defaultdict(list)
    samples = dict.fromkeys(one.edit_sample for one in measurements if one.edit_sample is not None)
    for one in measurements:
        everywhere = one.editor == UNEDITED and one.edit_sample is None and samples
        for sample in samples if everywhere else (one.edit_sample,):
            at = (one.model, one.label, one.edit_source, sample, one.order_seed, one.n_edits)
            checkpoints[at].append(one)
    rows = [
        SummaryRow(*checkpoint, cells=tuple(_cell(members, column, suites) for column in columns))
        for checkpoint, members in checkpoints.items()
    ]
    return Summary(tuple(columns), tuple(row for row in rows if any(row.cells)))


def _columns(measurements: Sequence[CheckedMeasurement], suites: Suites) -> list[SummaryColumn]:
    by_suite: dict[str, list[CheckedMeasurement]] = defaultdict(list)
    for one in measurements:
        if one.suite != ALARMS:  # measured between checkpoints, unlike all other suites
            by_suite[one.suite].append(one)
    columns: list[SummaryColumn] = []
    for suite, members in sorted(by_suite.items(), key=lambda pair: pair[0] != EDIT_QUALITY):
        of_suite = _edit_columns if suite == EDIT_QUALITY else _suite_columns
        columns += of_suite(members, suites)
    return columns


def _edit_columns(members: Sequence[CheckedMeasurement], suites: Suites) -> list[SummaryColumn]:
    """Returns a column per task and metric of edit quality, by the headline protocol if it was measured.

    Another way of asking a model is named in the title.
    """
    protocols: dict[str, str] = {}
    for one in members:
        if one.metric not in protocols or protocol_info(one.protocol).headline:
            protocols[one.metric] = one.protocol
    columns = []
    for metric, protocol in sorted(protocols.items(), key=lambda kind: metric_rank(kind[0])):
        label = suites.metric(EDIT_QUALITY, metric).label
        named = f", {protocol_info(protocol).label}" if protocol in _NAMED_PROTOCOLS else ""
        tasks = {one.task for one in members if (one.metric, one.protocol) == (metric, protocol)}
        columns += [
            SummaryColumn(f"{task}, {label}{named}", (task,), EDIT_QUALITY, metric, protocol)
            for task in sorted(tasks, reverse=True)
        ]
    return columns


def _suite_columns(members: Sequence[CheckedMeasurement], suites: Suites) -> list[SummaryColumn]:
    """Returns a column per protocol: a suite's headline metric, averaged over its tasks without subtasks."""
    whole = [one for one in members if not one.subtask] or list(members)
    metric = _headline(whole, suites)
    named = {one.task: one for one in whole if one.metric == metric}
    protocols = sorted({one.protocol for one in whole if one.metric == metric}, key=_protocol_order)
    columns = []
    for protocol in protocols:
        tasks = sorted({one.task for one in whole if (one.metric, one.protocol) == (metric, protocol)})
        first = named[tasks[0]]
        title = suites.title_of(first)
        if len(tasks) > 1:
            title = f"{suites.suite_title(first.suite)}, mean of {len(tasks)} tasks"
        suffix = f", {protocol_info(protocol).label}" if len(protocols) > 1 else ""
        title = f"{title}, {suites.metric_of(first).label}{suffix}"
        columns.append(SummaryColumn(title, tuple(tasks), first.suite, metric, protocol))
    return columns


def _protocol_order(protocol: str) -> tuple[bool, str]:
    """Sorts headline protocols first: generated answers, as in the literature."""
    return not protocol_info(protocol).headline, protocol


def _headline(members: Sequence[CheckedMeasurement], suites: Suites) -> str:
    """Returns the metric that represents a suite: the first headline metric, or else the first metric."""
    metrics = list(dict.fromkeys(one.metric for one in members))
    suite = members[0].suite
    known = [name for name in metrics if suites.metric(suite, name).headline]
    return min(known, key=metric_rank) if known else metrics[0]


def _belongs(one: CheckedMeasurement, column: SummaryColumn) -> bool:
    quantity = (one.suite, one.metric, one.protocol)
    return one.task in column.tasks and quantity == (column.suite, column.metric, column.protocol)


def _cell(
    measurements: Iterable[CheckedMeasurement], column: SummaryColumn, suites: Suites
) -> SummaryCell | None:
    measurements = list(measurements)
    members = [one for one in measurements if _belongs(one, column)]
    metric = suites.metric(column.suite, column.metric)
    of_edits = any(one.suite == column.suite == EDIT_QUALITY for one in measurements)
    if not members and metric.is_count and of_edits:
        return SummaryCell(0.0, None, 0, "0")
    if len(members) < len(column.tasks):
        return None  # a mean over fewer tasks would not be comparable
    if len({one.task for one in members}) < len(members):
        return SummaryCell(None, None, sum(one.n for one in members), SEVERAL)
    invalid = sorted({one.invalid_because.partition(":")[0] for one in members if one.invalid_because})
    if invalid:
        description = f"{NOT_SHOWN} ({', '.join(invalid)})"
        return SummaryCell(None, None, sum(one.n for one in members), description, tuple(invalid))
    values = [one.value for one in members if one.value is not None]
    if len(values) < len(members):
        return SummaryCell(None, None, sum(one.n for one in members), _reason(members, measurements))
    value, _ = mean_and_stderr(values)
    errors = [one.stderr for one in members if one.stderr is not None]
    stderr = None
    if len(errors) == len(members):  # the tasks' items differ, so their errors are independent
        stderr = math.sqrt(math.fsum(error**2 for error in errors)) / len(errors)
    text = format_with_error(value, stderr, metric.is_share, metric.is_count)
    return SummaryCell(value, stderr, sum(one.n for one in members), text)


def _reason(members: Sequence[CheckedMeasurement], measurements: Sequence[CheckedMeasurement]) -> str:
    """Returns the text of a cell without a value: a dash, and why nothing is left to measure.

    Args:
        members: The measurements of the cell.
        measurements: All measurements of the checkpoint.
    """
    if any(one.n for one in members):
        return "–"
    tasks = {one.task for one in members}
    left_out = {one.metric for one in measurements if one.task in tasks and one.protocol == FROM_EDITS.name}
    if EDITED_NEIGHBORS.name in left_out and {one.metric for one in members} == {NEIGHBORHOOD.name}:
        return CHANGED_CELL
    return SUPERSEDED_CELL if SUPERSEDED.name in left_out else "–"
