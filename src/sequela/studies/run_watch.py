"""A thread that has a run obey requests, and keeps its status, however long a task takes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sequela.core.errors import SequelaError
from sequela.core.progress import Progress
from sequela.scheduling import Scheduler
from sequela.studies.cell_tasks import CellTasks
from sequela.studies.run_requests import Requested, RunRequests

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 0.5
"""The interval, in seconds, at which requests are read."""


class RunWatch:
    """Passes requests on to the scheduler of a run.

    Args:
        scheduler: The scheduler.
        requests: The requests.
        cells: The tasks of the run, by cell.
        progress: Receives messages.
        then: Called after each look, with what is requested.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        requests: RunRequests,
        cells: CellTasks,
        progress: Progress,
        then: Callable[[Requested], None],
    ) -> None:
        self._scheduler = scheduler
        self._requests = requests
        self._cells = cells
        self._progress = progress
        self._then = then
        self._before = Requested()
        self._problem = ""

    def look(self) -> None:
        """Reads the requests and has the scheduler obey them."""
        requested = self._requests.read()
        if requested.is_paused != self._before.is_paused:
            (self._scheduler.pause if requested.is_paused else self._scheduler.resume)()
            now = "paused: no more tasks are started" if requested.is_paused else "no longer paused"
            self._progress.say(now)
        for cell in requested.canceled:
            if cell not in self._before.canceled:
                self._progress.say(f"{cell}: canceled; what has not been started is left out")
        self._before = requested
        self.cancel()
        self._then(requested)

    def cancel(self) -> None:
        """Leaves out the tasks of canceled cells; to be called when tasks have joined the run, too."""
        if self._before.canceled:
            self._scheduler.cancel(self._cells.in_cells(self._before.canceled), interrupt=False)

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Looks again and again during a block, in a thread."""
        ended = threading.Event()
        thread = threading.Thread(target=self._look_until, args=(ended,), daemon=True)
        self.look()
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _look_until(self, ended: threading.Event) -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            try:
                self.look()
            except (SequelaError, OSError) as error:  # such as a full disk, of which the run hears by itself
                if str(error) != self._problem:
                    self._problem = str(error)
                    logger.warning("the status of the run can't be kept: %s", error)
