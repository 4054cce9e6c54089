"""The short table of a run, for the terminal and the top of the page."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sequela.analysis import JudgedMeasurement
from sequela.reports.formatting import NOT_SHOWN, format_with_error, is_share, task_in_words
from sequela.reports.labels import MEANINGS, in_words
from sequela.results import ALARMS, EDIT_QUALITY, Suites, mean_and_stderr

_HEADLINE_METRICS = ("efficacy", "accuracy", "exact_match", "perplexity")
"""Of a suite's metrics the first of these is its headline; failing these, whatever comes first."""

_HEADLINE_PROTOCOL = "free_decoding"


@dataclass(frozen=True)
class SummaryColumn:
    """A headline quantity.

    Args:
        title: What to write above it.
        tasks: The tasks whose unweighted mean it is; usually one.
        suite: Their suite.
        metric: What was measured.
        protocol: How.
    """

    title: str
    tasks: tuple[str, ...]
    suite: str
    metric: str
    protocol: str


@dataclass(frozen=True)
class SummaryCell:
    """A headline number, with its error and what stands behind it, as numbers and as text.

    Args:
        value: The number, or None.
        stderr: Its standard error; for a mean of tasks, of the mean.
        n: The items behind it.
        text: The value and its error as they are written.
    """

    value: float | None
    stderr: float | None
    n: int
    text: str


@dataclass(frozen=True)
class SummaryRow:
    """One checkpoint of one trajectory; `cells` stand under the columns, None where nothing was measured."""

    model: str
    label: str
    edit_source: str
    order_seed: int
    n_edits: int
    cells: tuple[SummaryCell | None, ...]


@dataclass(frozen=True)
class Summary:
    """The table: its columns and rows."""

    columns: tuple[SummaryColumn, ...]
    rows: tuple[SummaryRow, ...]

    def trajectories(self) -> list[tuple[str, tuple[SummaryRow, ...]]]:
        """The rows of each trajectory, the unedited model's first, under a title."""
        unedited = {row.model: row for row in self.rows if row.n_edits == 0}
        grouped: dict[tuple[str, str, str, int], list[SummaryRow]] = defaultdict(list)
        for row in self.rows:
            if row.n_edits > 0:
                grouped[(row.model, row.label, row.edit_source, row.order_seed)].append(row)
        return [
            (
                f"{label} on {model}, edits from {source}, order {seed}",
                (*([unedited[model]] if model in unedited else []), *rows),
            )
            for (model, label, source, seed), rows in grouped.items()
        ]


def summarize(measurements: Sequence[JudgedMeasurement], suites: Suites) -> Summary:
    """The headline numbers of every checkpoint: the unedited model first, edit quality first.

    Args:
        measurements: In the order of `ResultsStore.measurements`.
        suites: The run's suites, for the titles of tasks.
    """
    columns = _columns(measurements, suites)
    shares = [
        is_share(column.metric, [one.value for one in measurements if _belongs(one, column)])
        for column in columns
    ]
    checkpoints: dict[tuple[str, str, str, int, int], list[JudgedMeasurement]] = defaultdict(list)
    for one in measurements:
        label = one.label
        checkpoints[(one.model, label, one.edit_source, one.order_seed, one.n_edits)].append(one)
    rows = [
        SummaryRow(*place, cells=tuple(_cell(found, *pair) for pair in zip(columns, shares, strict=True)))
        for place, found in checkpoints.items()
    ]
    return Summary(tuple(columns), tuple(row for row in rows if any(row.cells)))


def is_breakdown(task: str, tasks: Iterable[str]) -> bool:
    """Returns whether a task is a part of another one of its suite, as `mmlu_anatomy@1` is of `mmlu@1`.

    In the names of the harness's own tasks, `mmlu (harness 0.4.13, v2)`, a part has a version of its own.
    """
    name, version = _name_and_version(task)
    wholes = (_name_and_version(whole) for whole in tasks if whole != task)
    return any(name.startswith(f"{whole}_") and version == other for whole, other in wholes)


def _name_and_version(task: str) -> tuple[str, str]:
    if "@" not in task and " (harness " in task:
        name, _, versions = task.partition(" (")
        return name, versions.partition(",")[0].removesuffix(")")
    name, _, version = task.partition("@")
    return name, version


def _columns(measurements: Sequence[JudgedMeasurement], named: Suites) -> list[SummaryColumn]:
    suites: dict[str, list[JudgedMeasurement]] = defaultdict(list)
    for one in measurements:
        if one.suite != ALARMS:  # read between checkpoints, where nothing else is
            suites[one.suite].append(one)
    columns: list[SummaryColumn] = []
    for suite, members in sorted(suites.items(), key=lambda pair: pair[0] != EDIT_QUALITY):
        tasks = {one.task for one in members}
        headline = _headline([one for one in members if not is_breakdown(one.task, tasks)])
        if suite == EDIT_QUALITY:
            columns += [
                SummaryColumn(f"{task}, {in_words(metric)}", (task,), suite, metric, protocol)
                for metric, protocol in _edit_headlines(members)
                for task in sorted(
                    {one.task for one in members if (one.metric, one.protocol) == (metric, protocol)},
                    reverse=True,
                )
            ]
            continue
        metric = headline[0]
        whole = [one for one in members if one.metric == metric and not is_breakdown(one.task, tasks)]
        protocols = sorted({one.protocol for one in whole}, key=_protocol_order)
        for protocol in protocols:
            wholes = sorted({one.task for one in whole if one.protocol == protocol})
            title = task_in_words(wholes[0] if len(wholes) == 1 else suite, named)
            if len(wholes) > 1:
                title = f"{title}, mean of {len(wholes)} tasks"
            asked = f", {in_words(protocol)}" if len(protocols) > 1 else ""
            columns.append(
                SummaryColumn(f"{title}, {in_words(metric)}{asked}", tuple(wholes), suite, metric, protocol)
            )
    return columns


def _protocol_order(protocol: str) -> tuple[bool, str]:
    """Written answers first, as the paper has them."""
    return protocol != "generation", protocol


def _headline(members: Sequence[JudgedMeasurement]) -> tuple[str, str]:
    kinds = list({(one.metric, one.protocol): None for one in members})
    known = [kind for name in _HEADLINE_METRICS for kind in kinds if kind[0] == name]
    return (known or kinds)[0]


def _edit_headlines(members: Sequence[JudgedMeasurement]) -> list[tuple[str, str]]:
    """Every metric of edit quality by free decoding, where it was so measured, otherwise by what was."""
    by_metric: dict[str, str] = {}
    for one in members:
        if one.metric not in by_metric or one.protocol == _HEADLINE_PROTOCOL:
            by_metric[one.metric] = one.protocol
    known = list(MEANINGS)
    return sorted(
        by_metric.items(), key=lambda kind: known.index(kind[0]) if kind[0] in known else len(known)
    )


def _belongs(one: JudgedMeasurement, column: SummaryColumn) -> bool:
    place = (one.suite, one.metric, one.protocol)
    return one.task in column.tasks and place == (column.suite, column.metric, column.protocol)


def _cell(found: Iterable[JudgedMeasurement], column: SummaryColumn, share: bool) -> SummaryCell | None:
    members = [one for one in found if _belongs(one, column)]
    if len(members) < len(column.tasks):
        return None  # a mean over fewer tasks would not compare with the others
    spoiled = sorted({one.spoiled.partition(":")[0] for one in members if one.spoiled})
    if spoiled:
        told = f"{NOT_SHOWN} ({', '.join(spoiled)})"
        return SummaryCell(None, None, sum(one.n for one in members), told)
    values = [one.value for one in members if one.value is not None]
    if len(values) < len(members):
        return SummaryCell(None, None, sum(one.n for one in members), "–")
    value, _ = mean_and_stderr(values)
    errors = [one.stderr for one in members if one.stderr is not None]
    stderr = None
    if len(errors) == len(members):  # the tasks' items differ, so their errors are independent
        stderr = math.sqrt(math.fsum(error**2 for error in errors)) / len(errors)
    text = format_with_error(value, stderr, share)
    return SummaryCell(value, stderr, sum(one.n for one in members), text)
