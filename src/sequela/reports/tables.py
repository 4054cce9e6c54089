"""The rows of a report's tables, as formatted text."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sequela.analysis import CheckedMeasurement
from sequela.reports.captions import basis_of_difference
from sequela.reports.formatting import (
    NOT_SHOWN,
    format_bytes,
    format_difference,
    format_number,
    format_seconds,
)
from sequela.reports.series import MetricSeries
from sequela.results import (
    CostRecord,
    EditRecord,
    ItemRecord,
    Plugin,
    Suites,
    mean_and_stderr,
    order_label,
    protocol_info,
)
from sequela.results.protocols import FROM_EDITS


@dataclass(frozen=True)
class NumberRow:
    """One measurement, with the baseline and the difference from it."""

    quantity: str
    protocol: str
    label: str
    edit_sample: int | None
    order_seed: int
    n_edits: int
    value: str
    stderr: str
    n: int
    baseline: str
    difference: str
    n_nonfinite: int
    n_too_long: int
    n_unfinished_thinking: int
    n_failed: int
    note: str


@dataclass(frozen=True)
class InvalidScoreRow:
    """Invalid scores of one quantity with the reason; `edits` lists the checkpoints."""

    quantity: str
    label: str
    model: str
    edit_sample: int | None
    order_seed: int
    edits: str
    reason: str

    @property
    def order(self) -> str:
        """The sample and the shuffle seed, in words."""
        return order_label(self.edit_sample, self.order_seed)


@dataclass(frozen=True)
class CostRow:
    """The total cost of a step, for one method or shared by all methods."""

    step: str
    label: str
    units: int
    total: str
    seconds: float
    per_unit: str
    peak_memory: str


@dataclass(frozen=True)
class EditTimeRow:
    """The mean time of one edit, with its standard error over the edits."""

    label: str
    n: int
    seconds: str
    stderr: str
    steps: str


@dataclass(frozen=True)
class PluginPackage:
    """An installed package, and the plug-ins of it that a run used."""

    distribution: str
    version: str
    plugins: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} ({', '.join(self.plugins)})"


@dataclass(frozen=True)
class EditRow:
    """One edit, with the model's answers right after it."""

    position: int
    prompt: str
    target_new: str
    success: tuple[str, ...]
    seconds: str
    steps: str
    loss: str
    change: str
    probes: tuple[ItemRecord, ...]


def number_rows(series_list: Iterable[MetricSeries]) -> list[NumberRow]:
    """Returns a row for each measurement of the series, with the unedited model's value as the baseline.

    The difference is over the items that both models answered. Where these are not all, it has their number,
    and the note has both values over them.
    """
    rows = []
    for series in series_list:
        share = series.share
        for curve in series.curves:
            for point in curve.points:
                invalid = bool(point.invalid_because)
                basis = "" if invalid else basis_of_difference(point, series)
                basis = f"difference {basis}" if basis else ""
                rows.append(
                    NumberRow(
                        quantity=f"{series.task_title}: {series.metric.label}",
                        protocol=protocol_info(series.protocol).label,
                        label=curve.label,
                        edit_sample=curve.edit_sample,
                        order_seed=curve.order_seed,
                        n_edits=point.n_edits,
                        value=NOT_SHOWN if invalid else format_number(point.value, share, series.count),
                        stderr=format_number(point.stderr, share),
                        n=point.n,
                        baseline=format_number(point.baseline, share, series.count),
                        difference=NOT_SHOWN if invalid else _difference(point, series),
                        n_nonfinite=point.n_nonfinite,
                        n_too_long=point.n_too_long,
                        n_unfinished_thinking=point.n_unfinished_thinking,
                        n_failed=point.n_failed,
                        note="; ".join(part for part in (*flag_notes(point), basis, point.note) if part),
                    )
                )
    return rows


def _difference(one: CheckedMeasurement, series: MetricSeries) -> str:
    """Returns a difference, with the number of its items if it is not over those of value and baseline."""
    text = format_difference(one.difference, series.share, series.count)
    if one.shared is None or not basis_of_difference(one, series):
        return text
    return f"{text} (n = {one.shared.n})"


def flag_notes(one: CheckedMeasurement) -> list[str]:
    """Returns the findings of the validity rules about a measurement, and the number if it is hidden."""
    descriptions = [f"{flag.rule}: {flag.reason}" for flag in one.flags]
    if one.invalid_because and one.raw_value is not None:
        descriptions.append(f"measured: {one.raw_value:.4f}")
    return descriptions


def invalid_score_rows(measurements: Iterable[CheckedMeasurement], suites: Suites) -> list[InvalidScoreRow]:
    """Returns the invalid scores, grouped by quantity, method and reason."""
    groups: dict[tuple[str, str, str, int | None, int, str], list[int]] = defaultdict(list)
    for one in measurements:
        if one.invalid_because:
            metric, protocol = suites.metric_of(one).label, protocol_info(one.protocol).label
            quantity = f"{suites.title_of(one)}: {metric}, {protocol}"
            order = (one.edit_sample, one.order_seed)
            groups[(one.model, quantity, one.label, *order, one.invalid_because)].append(one.n_edits)
    return [
        InvalidScoreRow(quantity, label, model, sample, seed, ", ".join(map(str, sorted(edits))), reason)
        for (model, quantity, label, sample, seed, reason), edits in groups.items()
    ]


def cost_rows(costs: Iterable[CostRecord]) -> list[CostRow]:
    """Returns the costs, summed by step, suite and method, in descending order of time."""
    groups: dict[tuple[str, str], list[CostRecord]] = defaultdict(list)
    for cost in costs:
        step = f"{cost.step}: {cost.suite}" if cost.suite else cost.step
        groups[(step, cost.label)].append(cost)
    rows = []
    for (step, label), members in groups.items():
        seconds = math.fsum(cost.seconds for cost in members)
        units = sum(cost.units for cost in members)
        peaks = [cost.peak_memory_bytes for cost in members if cost.peak_memory_bytes is not None]
        rows.append(
            CostRow(
                step=step,
                label=label,
                units=units,
                total=format_seconds(seconds),
                seconds=seconds,
                per_unit=format_seconds(seconds / units) if units else "–",
                peak_memory=format_bytes(max(peaks, default=None)),
            )
        )
    return sorted(rows, key=lambda row: -row.seconds)


def edit_time_rows(records: Iterable[EditRecord]) -> list[EditTimeRow]:
    """Returns the mean time of an edit for each method."""
    groups: dict[str, list[EditRecord]] = defaultdict(list)
    for record in records:
        groups[record.label].append(record)
    rows = []
    for label, members in groups.items():
        mean, stderr = mean_and_stderr([record.seconds for record in members])
        steps, _ = mean_and_stderr([record.optimization_steps for record in members])
        rows.append(
            EditTimeRow(
                label=label,
                n=len(members),
                seconds="–" if mean is None else format_seconds(mean),
                stderr="–" if stderr is None else format_seconds(stderr),
                steps="–" if steps is None else f"{steps:.1f}",
            )
        )
    return rows


def plugin_packages(plugins: Iterable[Plugin]) -> list[PluginPackage]:
    """Returns the packages whose plug-ins a run used, in alphabetical order."""
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for plugin in plugins:
        names[(plugin.distribution, plugin.version)].append(f"{plugin.noun} {plugin.name}")
    return [PluginPackage(*package, tuple(found)) for package, found in sorted(names.items())]


def edit_rows(records: Iterable[EditRecord], columns: Sequence[tuple[str, str]]) -> list[EditRow]:
    """Returns a row for each edit of a trajectory.

    Args:
        records: The edit records, in order.
        columns: The metrics and protocols of the columns, as `success_columns` returns them.
    """
    return [
        EditRow(
            position=record.position,
            prompt=record.prompt,
            target_new=record.target_new,
            success=tuple(_tally(record.success, metric, protocol) for metric, protocol in columns),
            seconds=format_seconds(record.seconds),
            steps=str(record.optimization_steps),
            loss="–" if math.isnan(record.final_loss) else f"{record.final_loss:.3g}",
            change=f"dropped: {record.dropped}" if record.dropped else f"{record.relative_norm:.2%}",
            probes=record.success,
        )
        for record in records
    ]


def success_columns(records: Iterable[EditRecord]) -> list[tuple[str, str]]:
    """Returns the metrics and protocols measured right after the edits, in order of first appearance."""
    items = (item for one in records for item in one.success)
    return list({(item.metric, item.protocol): None for item in items if item.protocol != FROM_EDITS.name})


def _tally(items: Iterable[ItemRecord], metric: str, protocol: str) -> str:
    values = [item.value for item in items if (item.metric, item.protocol) == (metric, protocol)]
    if not values:
        return "–"
    if len(values) == 1 and values[0] in (0.0, 1.0):
        return "yes" if values[0] else "no"
    mean, _ = mean_and_stderr(values)
    return f"{format_number(mean, share=True)} of {len(values)}"
