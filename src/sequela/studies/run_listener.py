"""Events of a run, as its records and its user learn of them."""

from __future__ import annotations

from typing import Protocol

from sequela.core.errors import BadInputError, SequelaError
from sequela.core.progress import Progress
from sequela.core.workload import Current, Workload
from sequela.scheduling import Cause, Failure, LabeledProgress, Outcome, State, Task
from sequela.studies.pieces import piece_of
from sequela.studies.run_status import StatusBoard


class Reported(Protocol):
    """A receiver of what a run reports."""

    @property
    def progress(self) -> Progress:
        """Receives messages and progress."""
        ...

    @property
    def workload(self) -> Workload:
        """The planned, current and finished pieces of work."""
        ...


class Collecting(Protocol):
    """Receives the outputs of tasks."""

    @property
    def refusal(self) -> SequelaError | None:
        """The reason why no tasks may follow from a model or a method; None if there is none."""
        ...

    def collect(self, outcome: Outcome) -> None:
        """Receives the output of a task."""
        ...


class RunListener:
    """Passes on progress and has outputs collected.

    Args:
        log: The records of the run.
        collector: Writes the results.
        several: True if there are several workers, whose messages have their names.
        board: Keeps what the workers do.
    """

    def __init__(
        self, log: Reported, collector: Collecting, several: bool, board: StatusBoard | None = None
    ) -> None:
        self._log = log
        self._collector = collector
        self._several = several
        self._board = board or StatusBoard()
        self._doing: dict[str, Current] = {}
        self._said: set[tuple[str, str]] = set()

    def started(self, task: Task, worker: str) -> None:
        """Shows a task as under way."""
        self._board.started(task.key, task.label, worker)
        if (piece := piece_of(task)) is not None:
            self._doing[task.key] = self._log.workload.begin(piece, task.label)

    def retried(self, task: Task, failure: Failure, tries_left: int) -> None:
        """Says that a task will be tried again."""
        self._stop(task)
        self._log.progress.say(f"{task.label} failed ({failure.error}) and is tried again")

    def put_off(self, task: Task, holder: str) -> None:
        """Says, once for each process that does it, that another one does a task."""
        self._stop(task)
        if (task.key, holder) not in self._said:
            self._said.add((task.key, holder))
            self._log.progress.say(f"{holder} is doing {task.label}; its output is used here too.")

    def finished(self, outcome: Outcome) -> None:
        """Counts a task as done.

        Raises:
            SequelaError: The task failed because of the user's input, which ends the run.
        """
        task, piece = outcome.task, piece_of(outcome.task)
        self._board.ended(task.key)
        if outcome.state is State.FAILED:
            self._stop(task)
            self._board.failed(task.key, str(outcome))
            if outcome.failures[-1].cause is Cause.INPUT:
                message, _, hint = outcome.failures[-1].error.partition("\n")
                raise self._collector.refusal or BadInputError(message, hint=hint or None)
            self._log.progress.say(str(outcome))
        elif task.key in self._doing:
            self._log.workload.complete(self._doing.pop(task.key))
        elif piece is not None:
            self._log.workload.skip(piece)

    def collected(self, outcome: Outcome) -> None:
        """Writes the results of a task."""
        self._collector.collect(outcome)

    def worker_lost(self, worker: str, reason: str) -> None:
        """Says that a worker has ended."""
        self._log.progress.say(f"{worker} ended: {reason}")

    def progress(self, worker: str) -> Progress:
        """Returns the progress of the run; with several workers, messages have the worker's name."""
        return LabeledProgress(self._log.progress, worker) if self._several else self._log.progress

    def _stop(self, task: Task) -> None:
        """Shows a task as no longer under way, but not as done."""
        self._board.ended(task.key)
        if (current := self._doing.pop(task.key, None)) is not None:
            self._log.workload.abandon(current)
