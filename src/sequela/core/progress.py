"""How long work tells what it is doing, without knowing who listens.

Library code reports through the small `Progress` protocol; the command line
gives it Rich bars (`cli/progress.py`), tests and notebooks the silent one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from sequela.core.workload import Workload

T = TypeVar("T")


class Progress(Protocol):
    """Something that is told how work goes on."""

    def start(self, description: str, total: int | None) -> int:
        """Begins a task of `total` units, None if that isn't known; returns the number to speak of it."""
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

    def watch(self, workload: Workload | None) -> None:
        """Shows from now on how far a workload is of which all tasks are parts; None ends that."""
        ...


class SilentProgress:
    """Listens to nothing."""

    def start(self, description: str, total: int | None) -> int:
        """Ignores the task."""
        return 0

    def advance(self, task: int, units: int = 1) -> None:
        """Ignores the units."""

    def finish(self, task: int) -> None:
        """Ignores the end."""

    def say(self, message: str) -> None:
        """Ignores the message."""

    def watch(self, workload: Workload | None) -> None:
        """Ignores the workload."""


SILENT: Progress = SilentProgress()
"""The progress of code that nobody watches (it has no state)."""


@contextmanager
def counted(progress: Progress, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Within the block, a task runs; yields the function that reports finished units of it.

    Args:
        progress: Receives them.
        description: What the task is.
        total: The units it has; None where it can't be told how far it is.
    """
    task = progress.start(description, total)
    try:
        yield lambda units: progress.advance(task, units)
    finally:
        progress.finish(task)


def tracked(items: Iterable[T], progress: Progress, description: str, total: int) -> Iterator[T]:
    """Passes `items` on, reporting one unit after each."""
    with counted(progress, description, total) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def watched(progress: Progress, workload: Workload) -> Iterator[None]:
    """Within the block, progress shows how far a workload is."""
    progress.watch(workload)
    try:
        yield
    finally:
        progress.watch(None)
