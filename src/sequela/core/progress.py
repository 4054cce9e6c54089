"""Progress reports of long work, independent of how they are shown.

Library code reports through the small `Progress` protocol. The command line implements it with Rich bars
(`cli/progress.py`); tests and notebooks use the silent implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar, runtime_checkable

from sequela.core.workload import Workload

T = TypeVar("T")


@runtime_checkable
class Progress(Protocol):
    """A receiver of progress reports."""

    def start(self, description: str, total: int | None) -> int:
        """Begins a task of `total` units, None if the number is unknown; returns the task's id."""
        ...

    def advance(self, task: int, units: int = 1) -> None:
        """Reports finished units of a task."""
        ...

    def finish(self, task: int) -> None:
        """Ends a task, whether or not all its units are done."""
        ...

    def say(self, message: str) -> None:
        """Prints one line that stays on the screen."""
        ...

    def watch(self, workload: Workload | None) -> None:
        """Shows the progress of a workload that all tasks are part of; None stops that."""
        ...


class SilentProgress:
    """A progress that ignores all reports."""

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
"""The progress that ignores all reports; it has no state."""


@contextmanager
def counted(progress: Progress, description: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Runs a task for the duration of the `with` block; yields a function that reports finished units.

    Args:
        progress: Receives the reports.
        description: The description of the task.
        total: The number of its units; None if it is unknown.
    """
    task = progress.start(description, total)
    try:
        yield lambda units: progress.advance(task, units)
    finally:
        progress.finish(task)


def tracked(items: Iterable[T], progress: Progress, description: str, total: int) -> Iterator[T]:
    """Yields `items` and reports one unit after each."""
    with counted(progress, description, total) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def watched(progress: Progress, workload: Workload) -> Iterator[None]:
    """Shows the progress of a workload for the duration of the `with` block."""
    progress.watch(workload)
    try:
        yield
    finally:
        progress.watch(None)
