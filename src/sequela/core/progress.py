"""How long work tells what it is doing, without knowing who listens.

Library code reports through the small `Progress` protocol; the command line
gives it Rich bars (`cli/progress.py`), tests and notebooks the silent one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """Something that is told how work goes on."""

    def start(self, description: str, total: int) -> int:
        """Begins a task of `total` units; returns the number to speak of it."""
        ...

    def advance(self, task: int, units: int = 1) -> None:
        """Reports finished units of a task."""
        ...

    def finish(self, task: int) -> None:
        """Ends a task, whether or not all its units are done."""
        ...

    def say(self, message: str) -> None:
        """Tells one line that stays on the screen."""
        ...


class SilentProgress:
    """Listens to nothing."""

    def start(self, description: str, total: int) -> int:
        """Ignores the task."""
        return 0

    def advance(self, task: int, units: int = 1) -> None:
        """Ignores the units."""

    def finish(self, task: int) -> None:
        """Ignores the end."""

    def say(self, message: str) -> None:
        """Ignores the message."""


SILENT: Progress = SilentProgress()
"""The progress of code that nobody watches (it has no state)."""


def tracked(items: Iterable[T], progress: Progress, description: str, total: int) -> Iterator[T]:
    """Passes `items` on, reporting one unit after each."""
    task = progress.start(description, total)
    try:
        for item in items:
            yield item
            progress.advance(task)
    finally:
        progress.finish(task)
