"""What a person is told about a suite before choosing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sequela.core.registry import SEQUELA, Listed


@dataclass(frozen=True)
class SuiteDescription:
    """One suite under one protocol, as `sequela tasks` tells of it.

    Args:
        name: The suite's name, as in a study file.
        task: The task's name in the results, with its version; empty where a suite has several.
        protocol: How it is asked.
        what: What it measures, in one sentence.
        metrics: The metrics it reports, the first one in front.
        shots: How many worked examples stand before each question; None where there are none to set.
        items: How many items the official set has; None where that is not a number of questions.
        here: How many items are on this machine now; None if none are, or if that is not a number of
            questions.
        chance: The expected score of guessing; None where there is nothing to guess from.
        constants: What always giving one answer would score, by answer, over the items that are here.
        data: Where the items come from.
        missing: What of them this machine lacks, in words; empty if nothing.
        origin: The distribution that the suite comes from, with its version if it isn't Sequela.
        problem: The reason why it can't be used; empty if it can.
    """

    name: str
    task: str
    protocol: str
    what: str
    metrics: tuple[str, ...]
    data: str
    shots: int | None = None
    items: int | None = None
    here: int | None = None
    chance: float | None = None
    missing: str = ""
    constants: Mapping[str, float] = field(default_factory=dict)
    origin: str = str(SEQUELA)
    problem: str = ""

    @property
    def available(self) -> bool:
        """Whether it can be run now without a network."""
        return not self.problem and (self.here is not None or self.items is None)


def unusable(listed: Listed[Any]) -> SuiteDescription:
    """Returns the description of a suite whose package can't be used."""
    return SuiteDescription(
        listed.name, "", "", "", (), "", origin=str(listed.origin), problem=listed.problem
    )
