"""Queries for a subset of the measurements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sequela.results.measurement import Measurement
from sequela.results.names import UNEDITED


@dataclass(frozen=True)
class Query:
    """A filter for measurements by equality; None matches any value.

    Args:
        model: The base model's name.
        editor: The method.
        variant: The method's variant.
        edit_source: The source of the edits.
        order_seed: The shuffle seed.
        edit_sample: The sample of edits.
        n_edits: The checkpoint.
        suite: The suite.
        task: The task.
        metric: The metric.
        protocol: The protocol.
    """

    model: str | None = None
    editor: str | None = None
    variant: str | None = None
    edit_source: str | None = None
    order_seed: int | None = None
    edit_sample: int | None = None
    n_edits: int | None = None
    suite: str | None = None
    task: str | None = None
    metric: str | None = None
    protocol: str | None = None


def matches(measurement: Measurement, query: Query) -> bool:
    """Returns whether a query has a measurement among its results."""
    return all(value is None or getattr(measurement, name) == value for name, value in vars(query).items())


def ordered(measurements: Iterable[Measurement]) -> list[Measurement]:
    """Returns measurements in an order that doesn't depend on the order in which evaluations finished.

    They are sorted by model, edit source, editor (the unedited model first), variant, sample (what belongs to
    none first), shuffle seed, checkpoint and series.
    """
    return sorted(measurements, key=_sort_key)


def in_study_order(measurements: Iterable[Measurement], methods: Sequence[str]) -> list[Measurement]:
    """Returns measurements as `ordered` does, with the methods of each model in the order of the study.

    Args:
        measurements: The measurements.
        methods: The names of the study's methods, in its order; others follow in alphabetical order.
    """
    position = {name: number for number, name in reversed(list(enumerate(methods)))}

    def key(one: Measurement) -> tuple[object, ...]:
        return (one.model, one.edit_source, one.editor != UNEDITED, position.get(one.editor, len(methods)))

    return sorted(ordered(measurements), key=key)


def _sort_key(measurement: Measurement) -> tuple[object, ...]:
    return (
        measurement.model,
        measurement.edit_source,
        measurement.editor != UNEDITED,
        measurement.editor,
        measurement.variant,
        -1 if measurement.edit_sample is None else measurement.edit_sample,
        measurement.order_seed,
        measurement.n_edits,
        measurement.series,
    )
