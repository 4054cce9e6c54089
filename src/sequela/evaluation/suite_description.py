"""Descriptions of suites for listings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sequela.core.registry import SEQUELA, Listed


@dataclass(frozen=True)
class SuiteDescription:
    """One suite under one protocol, as `sequela tasks` lists it.

    Args:
        name: The suite's name, as in a study file.
        task: The task's name in the results, with its version; empty if a suite has several.
        protocol: The protocol.
        what: A one-sentence description of what it measures.
        metrics: The metrics it reports, the primary metric first.
        shots: The number of few-shot examples before each question; None if it can't be set.
        items: The number of items of the official set; None if the suite has no items.
        here: The number of items on this machine now; None if there are none, or if the suite has no
            items.
        chance: The expected score of guessing; None if there are no choices to guess from.
        constants: The score of always giving one answer, by answer, over the items on this machine.
        data: The origin of the items.
        missing: A description of the items missing on this machine; empty if none are.
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
        """True if the suite can be run now without a network."""
        return not self.problem and (self.here is not None or self.items is None)


def unusable(listed: Listed[Any]) -> SuiteDescription:
    """Returns the description of a suite whose package can't be used."""
    return SuiteDescription(
        listed.name, "", "", "", (), "", origin=str(listed.origin), problem=listed.problem
    )
