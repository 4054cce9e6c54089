"""One try of a task on a workbench: every error becomes a `Failure` in words."""

from __future__ import annotations

import time
import traceback

from sequela.core.errors import (
    BadInputError,
    FingerprintMismatchError,
    SequelaError,
    UnknownNameError,
    UnsupportedModelError,
)
from sequela.core.progress import Progress
from sequela.scheduling.executor import Reply, Skipped, Succeeded, Unreadable, Workbench, WorkbenchFactory
from sequela.scheduling.outcome import Cause, Failure
from sequela.scheduling.task import Task

ERRORS_OF_INPUT = (BadInputError, UnknownNameError, UnsupportedModelError, FingerprintMismatchError)
"""The errors that come back whenever a task is tried."""


class TaskRunner:
    """Runs tasks on a workbench that is built right before the first one.

    A factory that raises makes the task fail, and is called again for the next one.

    Args:
        factory: Builds the workbench.
    """

    def __init__(self, factory: WorkbenchFactory) -> None:
        self._factory = factory
        self._workbench: Workbench | None = None

    def run(self, task: Task, progress: Progress) -> Reply:
        """Runs a task once; a `KeyboardInterrupt` passes through."""
        try:
            if self._workbench is None:
                self._workbench = self._factory()
            begun = time.monotonic()
            answer = self._workbench.run(task, progress)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - any error of a task is the task's
            return failure_of(error)
        if isinstance(answer, (Skipped, Unreadable)):
            return answer
        return Succeeded(answer, time.monotonic() - begun)


def failure_of(error: BaseException) -> Failure:
    """Returns an exception as a failure in words, with its traceback as the log."""
    cause = Cause.INPUT if isinstance(error, ERRORS_OF_INPUT) else Cause.ERROR
    text = str(error) if isinstance(error, SequelaError) else f"{type(error).__name__}: {error}"
    return Failure(cause, text, "".join(traceback.format_exception(error)))
