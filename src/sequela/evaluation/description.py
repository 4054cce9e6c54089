"""What a person is told about a suite before choosing it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SuiteDescription:
    """One line of `sequela tasks`.

    Args:
        name: The suite's name, as in a study file.
        what: What it measures, in one sentence.
        metric: The metrics it reports.
        shots: How many worked examples stand before each question; None where there are none to set.
        items: How many items there are in all; None where that is not a number of questions.
        data: Where the items come from.
        available: Whether the items are on this machine now, so that no network is needed.
    """

    name: str
    what: str
    metric: str
    shots: int | None
    items: int | None
    data: str
    available: bool
