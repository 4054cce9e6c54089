"""An executor that runs one task at a time in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from sequela.core.progress import SILENT, Progress
from sequela.scheduling.executor import Replied, Report, WorkbenchFactory, Worker
from sequela.scheduling.running import TaskRunner
from sequela.scheduling.task import UNLIMITED, Resources, Task


class InlineExecutor:
    """Runs tasks in this process, in the thread that runs the scheduler.

    A `KeyboardInterrupt` interrupts the task and leaves `Scheduler.run`. The scheduler answers to calls from
    other threads between two tasks; a task can't be cancelled while it runs.

    Args:
        factory: Builds the workbench; it is called once in each run, and its workbench is released after it.
        resources: What this process has.
        name: The name of the one worker.
    """

    def __init__(
        self, factory: WorkbenchFactory, resources: Resources = UNLIMITED, name: str = "this process"
    ) -> None:
        self._workers = (Worker(name, resources),)
        self._runner = TaskRunner(factory)
        self._progress: Progress = SILENT
        self._submitted: Task | None = None

    @property
    def workers(self) -> Sequence[Worker]:
        """The one worker."""
        return self._workers

    @property
    def absent(self) -> Collection[int]:
        """Nobody: the worker is always there."""
        return ()

    def open(self, progress: Callable[[str], Progress]) -> None:
        """Begins a run."""
        self._progress = progress(self._workers[0].name)

    def submit(self, worker: int, task: Task) -> None:
        """Notes the task that `wait` will run."""
        self._submitted = task

    def wait(self, seconds: float) -> Sequence[Report]:
        """Runs the task that was submitted, however long that takes; sleeps if there is none."""
        task, self._submitted = self._submitted, None
        if task is None:
            time.sleep(seconds)
            return []
        return [Replied(0, self._runner.run(task, self._progress))]

    def interrupt(self, worker: int) -> bool:
        """Returns False: a task that runs in this thread ends by itself."""
        return False

    def close(self) -> None:
        """Releases the workbench."""
        self._runner.close()
        self._submitted = None
