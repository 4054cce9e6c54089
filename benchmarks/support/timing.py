"""Timing of several programs on the same work in alternating rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sequela.core.progress import Progress


@dataclass
class Timed:
    """The times of one program.

    Args:
        seconds: The time of each round.
        answers: The result of each round.
    """

    seconds: list[float] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median time in seconds."""
        return statistics.median(self.seconds)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Runs the work; returns the seconds that it took and its result."""
    started = time.perf_counter()
    answer = work()
    return time.perf_counter() - started, answer


def take_turns(
    contestants: Mapping[str, Callable[[], Any]], rounds: int, progress: Progress, what: str
) -> dict[str, Timed]:
    """Runs every program once per round; the order rotates with every round."""
    results = {name: Timed() for name in contestants}
    order = list(contestants)
    for number in range(rounds):
        for name in order:
            seconds, answer = timed(contestants[name])
            results[name].seconds.append(seconds)
            results[name].answers.append(answer)
            progress.say(f"{what}, round {number + 1} of {rounds}: {name} {seconds:.2f} s")
        order = order[1:] + order[:1]
    return results
