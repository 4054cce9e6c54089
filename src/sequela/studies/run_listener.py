"""What happens during a run, as its records and its user learn of it."""

from __future__ import annotations

from sequela.core.errors import BadInputError
from sequela.core.progress import Progress
from sequela.core.workload import Current
from sequela.scheduling import Cause, Failure, LabeledProgress, Outcome, State, Task
from sequela.studies.collector import Collector
from sequela.studies.pieces import piece_of
from sequela.studies.run_log import RunLog


class RunListener:
    """Passes on progress and has outputs collected.

    Args:
        log: The records of the run.
        collector: Writes the results.
        several: True if there are several workers, whose messages have their names.
    """

    def __init__(self, log: RunLog, collector: Collector, several: bool) -> None:
        self._log = log
        self._collector = collector
        self._several = several
        self._doing: dict[str, Current] = {}

    def started(self, task: Task, worker: str) -> None:
        """Shows a task as under way."""
        if (piece := piece_of(task)) is not None:
            self._doing[task.key] = self._log.workload.begin(piece, task.label)

    def retried(self, task: Task, failure: Failure, tries_left: int) -> None:
        """Says that a task will be tried again."""
        self._stop(task)
        self._log.progress.say(f"{task.label} failed ({failure.error}) and is tried again")

    def finished(self, outcome: Outcome) -> None:
        """Counts a task as done.

        Raises:
            SequelaError: The task failed because of the user's input, which ends the run.
        """
        task, piece = outcome.task, piece_of(outcome.task)
        if outcome.state is State.FAILED:
            self._stop(task)
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
        if (current := self._doing.pop(task.key, None)) is not None:
            self._log.workload.abandon(current)
