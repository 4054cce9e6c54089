"""Measurements grouped into series: one quantity, with a curve for each trajectory."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sequela.analysis import CheckedMeasurement
from sequela.results import UNEDITED, MetricInfo, Section, Suites, mean_and_stderr

_Unedited = Mapping[int | None, CheckedMeasurement]
"""A quantity on the unedited model, by sample of edits; under None if no edits take part in it."""


@dataclass(frozen=True)
class Curve:
    """One quantity along one trajectory.

    Args:
        label: The label of the method, as in the legend.
        edit_sample: The sample of edits; None if the study has no samples.
        order_seed: The shuffle seed.
        points: The measurements, ordered by the number of edits.
    """

    label: str
    edit_sample: int | None
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
    def samples(self) -> int:
        """The number of samples of edits; 1 if the study has none."""
        return len({curve.edit_sample for curve in self.curves})

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
    unedited: dict[tuple[str, tuple[str, str, str, str]], dict[int | None, CheckedMeasurement]]
    unedited = defaultdict(dict)
    for one in measurements:
        if one.editor == UNEDITED:
            unedited[(one.model, one.series)].setdefault(one.edit_sample, one)
        else:
            edited[(one.model, one.edit_source, one.series)].append(one)
    series_list = [
        _series(members, unedited.get((model, series), {}), suites)
        for (model, _, series), members in edited.items()
    ]
    drawn = {(model, series) for model, _, series in edited}
    series_list += [_series([], found, suites) for key, found in unedited.items() if key not in drawn]
    return series_list


def label_order(measurements: Iterable[CheckedMeasurement]) -> list[str]:
    """Returns the distinct labels of all methods, in the order that determines their colors in the report."""
    labels = {one.label: None for one in measurements if one.editor != UNEDITED}
    return list(labels)


def _series(members: Sequence[CheckedMeasurement], unedited: _Unedited, suites: Suites) -> MetricSeries:
    trajectories: dict[tuple[str, int | None, int], list[CheckedMeasurement]] = defaultdict(list)
    for one in members:
        trajectories[(one.label, one.edit_sample, one.order_seed)].append(one)
    curves = []
    for trajectory, points in trajectories.items():
        start = unedited.get(trajectory[1]) or unedited.get(None)
        if start is not None and all(point.n_edits > 0 for point in points):
            points = [start, *points]
        curves.append(Curve(*trajectory, tuple(sorted(points, key=lambda point: point.n_edits))))
    if not members:
        curves += [Curve(one.label, one.edit_sample, one.order_seed, (one,)) for one in unedited.values()]
    first = next(iter([*members, *unedited.values()]), None)
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


def _baseline(members: Sequence[CheckedMeasurement], unedited: _Unedited) -> tuple[tuple[int, float], ...]:
    """Returns the unedited value for each number of edits: the mean over the trajectories' own edits."""
    values: dict[int, list[float]] = defaultdict(list)
    for one in members:
        if one.baseline is not None and math.isfinite(one.baseline):
            values[one.n_edits].append(one.baseline)
    if not values:
        for one in unedited.values():
            if one.raw_value is not None:
                values[one.n_edits].append(one.raw_value)
    means = ((n_edits, mean_and_stderr(members)[0]) for n_edits, members in sorted(values.items()))
    return tuple((n_edits, mean) for n_edits, mean in means if mean is not None)
