"""Asking for some of the measurements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sequela.results.measurement import Measurement
from sequela.results.names import UNEDITED


@dataclass(frozen=True)
class Query:
    """Which measurements are asked for; None means any.

    Args:
        model: The base model's name.
        editor: The method.
        variant: The method's variant.
        edit_source: Where the edits came from.
        order_seed: The seed of their order.
        n_edits: The checkpoint.
        suite: The group of tasks.
        task: The task.
        metric: What was measured.
        protocol: How.
    """

    model: str | None = None
    editor: str | None = None
    variant: str | None = None
    edit_source: str | None = None
    order_seed: int | None = None
    n_edits: int | None = None
    suite: str | None = None
    task: str | None = None
    metric: str | None = None
    protocol: str | None = None


def ordered(measurements: Iterable[Measurement]) -> list[Measurement]:
    """Measurements in an order that doesn't depend on which evaluation ended first.

    By model, edit source, editor (the unedited model first), variant, order seed, checkpoint and series.
    """
    return sorted(measurements, key=_place)


def _place(measurement: Measurement) -> tuple[object, ...]:
    return (
        measurement.model,
        measurement.edit_source,
        measurement.editor != UNEDITED,
        measurement.editor,
        measurement.variant,
        measurement.order_seed,
        measurement.n_edits,
        measurement.series,
    )
