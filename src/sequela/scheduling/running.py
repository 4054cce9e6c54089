"""One try of a task on a workbench: every error becomes a `Failure` in words."""

from __future__ import annotations

import time
import traceback
from typing import Protocol, runtime_checkable

from sequela.core.errors import SequelaError
from sequela.core.progress import Progress
from sequela.scheduling.executor import (
    Busy,
    Reply,
    Skipped,
    Stored,
    Succeeded,
    Unreadable,
    Workbench,
    WorkbenchFactory,
)
from sequela.scheduling.outcome import Cause, Failure
from sequela.scheduling.task import Task


@runtime_checkable
class Closable(Protocol):
    """A workbench that holds what must be released, such as a server."""

    def close(self) -> None:
        """Releases it."""
        ...


class TaskRunner:
    """Runs tasks on a workbench that is built right before the first one.

    A factory that raises makes the task fail, and is called again for the next one.

    Args:
        factory: Builds the workbench.
    """

    def __init__(self, factory: WorkbenchFactory) -> None:
        self._factory = factory
        self._workbench: Workbench | None = None

    def close(self) -> None:
        """Releases the workbench, and what it holds if it can be closed."""
        workbench: object = self._workbench
        self._workbench = None
        if isinstance(workbench, Closable):
            workbench.close()

    def run(self, task: Task, progress: Progress) -> Reply:
        """Runs a task once; a `KeyboardInterrupt` passes through."""
        try:
            if self._workbench is None:
                self._workbench = self._factory()
            begun = time.monotonic()
            answer = self._workbench.run(task, progress)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - any error of a task is the task's
            return failure_of(error)
        if isinstance(answer, (Skipped, Unreadable, Stored, Busy)):
            return answer
        return Succeeded(answer, time.monotonic() - begun)


def failure_of(error: BaseException) -> Failure:
    """Returns an exception as a failure in words, with its traceback as the log."""
    cause = Cause.INPUT if isinstance(error, SequelaError) and error.comes_back else Cause.ERROR
    text = str(error) if isinstance(error, SequelaError) else f"{type(error).__name__}: {error}"
    return Failure(cause, text, "".join(traceback.format_exception(error)))
