"""Outcomes of tasks, and failures of tries."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from sequela.scheduling.task import Task


class State(str, Enum):
    """The state in which a task ended."""

    DONE = "done"
    """It was done in this run."""
    STORED = "stored"
    """Its output was there."""
    NOT_NEEDED = "not needed"
    """Its output isn't there, but the outputs of all tasks that need it are."""
    SKIPPED = "skipped"
    """There was nothing to do, for a reason that the task, or one that it needs, gave."""
    FAILED = "failed"
    """No try succeeded."""
    NOT_RUN = "not run"
    """A task that it needs failed."""
    CANCELLED = "cancelled"
    """It, or a task that it needs, was cancelled."""


class Cause(str, Enum):
    """The kind of a failure."""

    INPUT = "input"
    """The user's input can't be used; trying again is of no use."""
    ERROR = "error"
    """Any other error."""
    LOST = "lost"
    """The worker ended: it crashed, was killed, or its machine is gone."""


@dataclass(frozen=True)
class Failure:
    """The failure of a try, in texts: an exception of a worker may not exist in the main process.

    Args:
        cause: Its kind.
        error: What went wrong, in words.
        log: The traceback, and the end of what the worker printed during the try.
    """

    cause: Cause
    error: str
    log: str = ""


@dataclass(frozen=True)
class Outcome:
    """An outcome: what came of a task.

    Args:
        task: The task.
        state: The state in which it ended.
        result: The small result that the workbench returned; None for tasks that were not done in this run.
        reason: Why it was skipped, not run or cancelled; empty otherwise.
        because: The key of the task that was skipped, failed or was cancelled, if that was another one.
        failures: The failed tries, in order; a task that is done may have some.
        seconds: The time of the try that succeeded.
    """

    task: Task
    state: State
    result: object = None
    reason: str = ""
    because: str | None = None
    failures: tuple[Failure, ...] = ()
    seconds: float = field(default=0.0, compare=False)

    @property
    def has_output(self) -> bool:
        """True if the output of the task is in the store."""
        return self.state in (State.DONE, State.STORED)

    @property
    def log(self) -> str:
        """The log of the last failed try; empty if there is none."""
        return self.failures[-1].log if self.failures else ""

    def __str__(self) -> str:
        """Returns the outcome in words: `edits 1 to 10 of rome: failed after 3 tries: out of memory`."""
        words = f"{self.task.label}: {self.state.value}"
        if self.state is State.FAILED:
            tries = len(self.failures)
            after = f" after {tries} tries" if tries > 1 else ""
            return f"{words}{after}: {self.failures[-1].error}"
        return f"{words}: {self.reason}" if self.reason else words
