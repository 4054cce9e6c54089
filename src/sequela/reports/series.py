"""Measurements grouped into series: one quantity, with a curve for each trajectory."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sequela.analysis import CheckedMeasurement
from sequela.results import UNEDITED, MetricInfo, Section, Suites, mean_and_stderr


@dataclass(frozen=True)
class Curve:
    """One quantity along one trajectory.

    Args:
        label: The label of the method, as in the legend.
        order_seed: The shuffle seed.
        points: The measurements, ordered by the number of edits.
    """

    label: str
    order_seed: int
    points: tuple[CheckedMeasurement, ...]


@dataclass(frozen=True)
class MetricSeries:
    """All measurements of one quantity for one model and one edit source.

    Args:
        model: The base model's name.
        edit_source: The source of the edits.
        suite: The suite.
        task: The task.
        task_title: The display name of the task.
        subtask: The subtask; empty for a whole group.
        section: The section of the report.
        metric: The metric.
        protocol: The protocol.
        curves: A curve for each trajectory, starting at the unedited model.
        baseline: The unedited model's value for each number of edits; the values differ if the items differ.
    """

    model: str
    edit_source: str
    suite: str
    task: str
    task_title: str
    subtask: str
    section: Section
    metric: MetricInfo
    protocol: str
    curves: tuple[Curve, ...]
    baseline: tuple[tuple[int, float], ...]

    @property
    def share(self) -> bool:
        """True if the quantity is a share, which is written in percent."""
        return self.metric.is_share

    @property
    def count(self) -> bool:
        """True if the quantity counts something."""
        return self.metric.is_count

    @property
    def seeds(self) -> int:
        """The number of shuffle seeds."""
        return len({curve.order_seed for curve in self.curves})

    @property
    def undrawn(self) -> tuple[CheckedMeasurement, ...]:
        """The measurements that can't be drawn: invalid, without a value, or infinite."""
        return tuple(
            point
            for curve in self.curves
            for point in curve.points
            if point.value is None or not math.isfinite(point.value)
        )


def group_into_series(measurements: Iterable[CheckedMeasurement], suites: Suites) -> list[MetricSeries]:
    """Groups measurements by model, edit source and quantity, in order of first appearance.

    Args:
        measurements: The measurements.
        suites: The run's suites, for titles, sections and metrics.
    """
    edited: dict[tuple[str, str, tuple[str, str, str, str]], list[CheckedMeasurement]] = defaultdict(list)
    unedited: dict[tuple[str, tuple[str, str, str, str]], CheckedMeasurement] = {}
    for one in measurements:
        if one.editor == UNEDITED:
            unedited.setdefault((one.model, one.series), one)
        else:
            edited[(one.model, one.edit_source, one.series)].append(one)
    series_list = [
        _series(members, unedited.get((model, series)), suites)
        for (model, _, series), members in edited.items()
    ]
    drawn = {(model, series) for model, _, series in edited}
    series_list += [_series([], one, suites) for key, one in unedited.items() if key not in drawn]
    return series_list


def label_order(measurements: Iterable[CheckedMeasurement]) -> list[str]:
    """Returns the distinct labels of all methods, in the order that determines their colors in the report."""
    labels = {one.label: None for one in measurements if one.editor != UNEDITED}
    return list(labels)


def _series(
    members: Sequence[CheckedMeasurement], unedited: CheckedMeasurement | None, suites: Suites
) -> MetricSeries:
    trajectories: dict[tuple[str, int], list[CheckedMeasurement]] = defaultdict(list)
    for one in members:
        trajectories[(one.label, one.order_seed)].append(one)
    curves = []
    for (label, order_seed), points in trajectories.items():
        if unedited is not None and all(point.n_edits > 0 for point in points):
            points = [unedited, *points]
        curves.append(Curve(label, order_seed, tuple(sorted(points, key=lambda point: point.n_edits))))
    if unedited is not None and not members:
        curves.append(Curve(unedited.label, unedited.order_seed, (unedited,)))
    first = members[0] if members else unedited
    if first is None:
        raise ValueError("A series needs at least one measurement.")
    return MetricSeries(
        model=first.model,
        edit_source=first.edit_source,
        suite=first.suite,
        task=first.task,
        task_title=suites.title_of(first),
        subtask=first.subtask,
        section=suites.section_of(first),
        metric=suites.metric_of(first),
        protocol=first.protocol,
        curves=tuple(curves),
        baseline=_baseline(members, unedited),
    )


def _baseline(
    members: Sequence[CheckedMeasurement], unedited: CheckedMeasurement | None
) -> tuple[tuple[int, float], ...]:
    values: dict[int, list[float]] = defaultdict(list)
    for one in members:
        if one.baseline is not None and math.isfinite(one.baseline):
            values[one.n_edits].append(one.baseline)
    if not values and unedited is not None and unedited.raw_value is not None:
        values[unedited.n_edits].append(unedited.raw_value)
    means = ((n_edits, mean_and_stderr(members)[0]) for n_edits, members in sorted(values.items()))
    return tuple((n_edits, mean) for n_edits, mean in means if mean is not None)
