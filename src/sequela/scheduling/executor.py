"""The interface between the scheduler and those who do the work: executors, workers, workbenches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sequela.core.progress import Progress
from sequela.scheduling.outcome import Failure
from sequela.scheduling.task import UNLIMITED, Resources, Task


@dataclass(frozen=True)
class Skipped:
    """The answer of a workbench that there is nothing to do: the task, and those that need it, are skipped.

    Args:
        reason: The reason in words: `the trajectory was stopped after 20 edits: perplexity above 3x`.
    """

    reason: str


@dataclass(frozen=True)
class Unreadable:
    """The answer of a workbench that outputs which the task needs are missing or damaged.

    The scheduler has those tasks done again, then this one.

    Args:
        keys: The keys of the tasks that make them; each is one of the task's `needs`.
        problem: The problem in words, with the name of the file.
    """

    keys: tuple[str, ...]
    problem: str


@dataclass(frozen=True)
class Stored:
    """The answer of a workbench that the output is in the store by now: another process has made it."""


@dataclass(frozen=True)
class Busy:
    """The answer of a workbench that another process, of this run or of another one, does the task now.

    The scheduler puts the task off, does others, and looks again.

    Args:
        holder: The process that does it, in words: `Another process (id 12 on node3, since ...)`.
    """

    holder: str


class Workbench(Protocol):
    """The tools of a worker, which it keeps between tasks, such as a loaded model."""

    def run(self, task: Task, progress: Progress) -> object:
        """Does a task: computes its output and commits it to the store, whole or not at all.

        Tasks may be interrupted by a `KeyboardInterrupt`, or killed, at any moment. A task may be run again
        although it was run before.

        Args:
            task: The task; the outputs of those that it needs are in the store.
            progress: Receives progress reports, which are shown with the worker's name.

        Returns:
            A small result that can be pickled, for the listener; `Skipped` if there is nothing to do;
            `Unreadable` if outputs of other tasks can't be used; `Stored` or `Busy` if another process has
            done the task or does it.

        Raises:
            Exception: Any; the task has failed, and is tried again unless the error is the user's.
        """
        ...


WorkbenchFactory = Callable[[], Workbench]
"""Builds the workbench of a worker, once, right before its first task."""


@dataclass(frozen=True)
class Worker:
    """One that does tasks, one at a time.

    Args:
        name: Its name in messages: `worker 2`.
        resources: What it has.
        environment: Environment variables of its process, such as `OMP_NUM_THREADS` and
            `CUDA_VISIBLE_DEVICES`, besides those of the main process.
    """

    name: str
    resources: Resources = UNLIMITED
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)


def numbered_workers(
    n: int, resources: Resources = UNLIMITED, environment: Mapping[str, str] | None = None
) -> list[Worker]:
    """Returns workers named `worker 1`, `worker 2`, ... that are alike otherwise."""
    return [Worker(f"worker {i + 1}", resources, environment or {}) for i in range(n)]


@dataclass(frozen=True)
class Succeeded:
    """A task that was done.

    Args:
        result: What the workbench returned.
        seconds: How long it took.
    """

    result: object
    seconds: float


Reply = Succeeded | Skipped | Unreadable | Stored | Busy | Failure
"""An answer of a worker to a task."""


@dataclass(frozen=True)
class Replied:
    """A report that a worker has ended its task.

    Args:
        worker: The number of the worker, its position in `Executor.workers`.
        reply: Its answer.
    """

    worker: int
    reply: Reply


@dataclass(frozen=True)
class Lost:
    """A report that a worker has ended, with its task if it had one; a new one replaces it when needed.

    Args:
        worker: The number of the worker.
        reason: How it ended, in words.
        log: The end of what it printed.
    """

    worker: int
    reason: str
    log: str = ""


Report = Replied | Lost


class Executor(Protocol):
    """A group of workers. The scheduler is its only caller, from one thread.

    An executor knows nothing of tasks but to pass them on. It keeps no list of tasks: the scheduler gives a
    worker a task only if it has none. It may be opened again after it was closed.
    """

    @property
    def workers(self) -> Sequence[Worker]:
        """The workers; a lost one keeps its number and its name."""
        ...

    @property
    def absent(self) -> Collection[int]:
        """The numbers of the workers that are not there, such as those that have no room, and get no task.

        A worker that has a task is there until it is lost.
        """
        ...

    def open(self, progress: Callable[[str], Progress]) -> None:
        """Begins a run.

        Args:
            progress: Returns the receiver of the progress reports of a worker, by name. It is called in this
                process, and so are the receivers, within `wait`.

        Raises:
            SequelaError: The workers can't be reached.
        """
        ...

    def submit(self, worker: int, task: Task) -> None:
        """Gives a task to a worker that has none; returns without waiting for it.

        Every submitted task is answered by one `Replied` or `Lost`, whatever happens; a task that can't be
        sent by a `Replied` with a `Failure`.
        """
        ...

    def wait(self, seconds: float) -> Sequence[Report]:
        """Returns what has happened, and waits for it until something does, but not for longer than given.

        Raises:
            SequelaError: There is no worker any more, and none can be had.
        """
        ...

    def interrupt(self, worker: int) -> bool:
        """Stops a worker's task; returns False if it can't be stopped and will end by itself.

        If it can, a `Lost` follows, maybe after a `Replied` that was on its way.
        """
        ...

    def close(self) -> None:
        """Ends all workers: idle ones at once, others after an interrupt and, if need be, by force.

        When it returns, no worker is left. It may be called twice, and after an `open` that failed.
        """
        ...
