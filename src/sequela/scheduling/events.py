"""The events that a scheduler reports while it runs."""

from __future__ import annotations

from typing import Protocol

from sequela.core.progress import SILENT, Progress
from sequela.scheduling.outcome import Failure, Outcome
from sequela.scheduling.task import Task


class Listener(Protocol):
    """A receiver of what happens during a run; all calls are in the thread that runs the scheduler.

    An exception that a method raises ends the run: the workers are stopped, and `Scheduler.run` raises it.
    """

    def started(self, task: Task, worker: str) -> None:
        """A worker begins a task, or tries it again."""
        ...

    def retried(self, task: Task, failure: Failure, tries_left: int) -> None:
        """A try failed, and the task will be tried again."""
        ...

    def put_off(self, task: Task, holder: str) -> None:
        """Another process does the task that was started; it is looked at again after a short time.

        Called each time, with the process in words: `Another process (id 12 on node3, since ...)`.
        """
        ...

    def finished(self, outcome: Outcome) -> None:
        """A task has ended, in whatever state; called in the order in which tasks end, for progress.

        A task whose output turned out to be missing or damaged and is computed anew ends once more, and so
        does one that was not needed until others joined a graph that grows.
        """
        ...

    def collected(self, outcome: Outcome) -> None:
        """The same outcome, called once for each task and in the order of the graph, for writers of results.

        A task is collected when all tasks before it in the graph have been. So what is written, and in which
        order, depends neither on the number of workers nor on their speed. If the run is interrupted, tasks
        that ended and are not collected yet are collected, as stored ones, by the next run of the graph:
        what is written here must be a function of the task and its stored output, and writing it twice must
        be the same as writing it once.
        """
        ...

    def worker_lost(self, worker: str, reason: str) -> None:
        """A worker ended unexpectedly, with the reason in words; a new one takes its place when needed."""
        ...

    def progress(self, worker: str) -> Progress:
        """Returns the receiver of a worker's progress reports; called once for each worker of a run."""
        ...


class SilentListener:
    """A listener that ignores everything; a base for those that need a part of it."""

    def started(self, task: Task, worker: str) -> None:
        """Ignores the event."""

    def retried(self, task: Task, failure: Failure, tries_left: int) -> None:
        """Ignores the event."""

    def put_off(self, task: Task, holder: str) -> None:
        """Ignores the event."""

    def finished(self, outcome: Outcome) -> None:
        """Ignores the event."""

    def collected(self, outcome: Outcome) -> None:
        """Ignores the event."""

    def worker_lost(self, worker: str, reason: str) -> None:
        """Ignores the event."""

    def progress(self, worker: str) -> Progress:
        """Returns a progress that ignores all reports."""
        return SILENT
