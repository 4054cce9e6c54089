"""An executor with a long-lived process for each worker."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from multiprocessing.connection import Connection, wait

from sequela.core.progress import Progress
from sequela.scheduling.executor import (
    Lost,
    Replied,
    Reply,
    Report,
    WorkbenchFactory,
    Worker,
)
from sequela.scheduling.reporting import Replay
from sequela.scheduling.running import failure_of
from sequela.scheduling.task import Task
from sequela.scheduling.worker_process import WorkerProcess

logger = logging.getLogger(__name__)

GRACE = 10.0
"""The time, in seconds, in which an interrupted worker ends by itself before it is killed."""

MOST_MESSAGES = 100
"""The greatest number of messages read from one worker before the others are looked at."""


class ProcessExecutor:
    """Runs tasks in processes of this machine, started afresh (not forked).

    A worker's process is started with its first task, and again with its next one if it has ended. It builds
    its workbench once, and keeps it. Factory, payloads and results are pickled, so what they refer to must be
    importable from a module other than `__main__`. What workers print isn't shown; its end is in the log of a
    failure. Their warnings are logged in this process. A worker ends, with all processes that its task has
    started, at the latest when this process ends, however it ends.

    Args:
        factory: Builds the workbench of a worker.
        workers: The workers, such as `numbered_workers(4, environment={"OMP_NUM_THREADS": "1"})`.
        grace: The time in seconds that an interrupted worker has to end by itself.
    """

    def __init__(self, factory: WorkbenchFactory, workers: Sequence[Worker], grace: float = GRACE) -> None:
        self._factory = factory
        self._workers = tuple(workers)
        self._grace = grace
        self._processes: dict[int, WorkerProcess] = {}
        self._replays: list[Replay] = []
        self._unsent: list[Report] = []
        self._kill_at: dict[int, float] = {}

    @property
    def workers(self) -> Sequence[Worker]:
        """The workers."""
        return self._workers

    @property
    def absent(self) -> Collection[int]:
        """Nobody: a worker is always there."""
        return ()

    def open(self, progress: Callable[[str], Progress]) -> None:
        """Begins a run; no process is started yet."""
        self._replays = [Replay(worker.name, progress(worker.name)) for worker in self._workers]

    def submit(self, worker: int, task: Task) -> None:
        """Gives a task to a worker, whose process is started if there is none."""
        try:
            self._process(worker).give(task)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the process has just ended, which `wait` reports
        except Exception as error:  # noqa: BLE001 - no process can be started, or pickling raises anything
            self._unsent.append(Replied(worker, failure_of(error)))

    def wait(self, seconds: float) -> Sequence[Report]:
        """Returns the answers of workers, and the numbers of those that have ended."""
        reports, self._unsent = self._unsent, []
        numbers: dict[object, int] = {process.connection: i for i, process in self._processes.items()}
        connections: list[Connection] = [process.connection for process in self._processes.values()]
        ready = {numbers[one] for one in wait(connections, 0 if reports else seconds)}
        for worker, process in list(self._processes.items()):
            if time.monotonic() > self._kill_at.get(worker, float("inf")):
                process.kill()
            ended = process.has_ended
            if worker in ready or ended:
                reports += self._received(worker, process, all_of_it=ended)
            if ended or process.is_closed:
                reports.append(self._buried(worker))
        return reports

    def interrupt(self, worker: int) -> bool:
        """Interrupts a worker, whose process ends."""
        process = self._processes.get(worker)
        if process is not None:
            process.interrupt()
            self._kill_at[worker] = time.monotonic() + self._grace
        return process is not None

    def close(self) -> None:
        """Ends all processes: idle ones at once, others by an interrupt, and by SIGKILL after the grace."""
        try:
            for process in self._processes.values():
                if process.is_busy:
                    process.interrupt()
                else:
                    process.dismiss()
            end = time.monotonic() + self._grace
            for process in self._processes.values():
                process.join(max(0.0, end - time.monotonic()))
        finally:
            for worker, process in self._processes.items():
                process.bury(worker)
            for replay in self._replays:
                replay.finish()
            self._processes, self._kill_at, self._unsent, self._replays = {}, {}, [], []

    def _process(self, worker: int) -> WorkerProcess:
        """Returns the process of a worker, started if there is none or it has ended while it had no task."""
        if worker in self._processes and self._processes[worker].has_ended:
            lost = self._buried(worker)
            logger.warning("%s ended while it had no task: %s", self._workers[worker].name, lost.reason)
        if worker not in self._processes:
            process = WorkerProcess(self._workers[worker])
            try:
                process.send(self._factory)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it has ended already, which `wait` reports
            except BaseException:
                process.bury(worker)
                raise
            self._processes[worker] = process
        return self._processes[worker]

    def _received(self, worker: int, process: WorkerProcess, *, all_of_it: bool) -> list[Report]:
        """Returns the answers of a worker, and replays what it has reported before."""
        reports: list[Report] = []
        n_messages = 0
        while (all_of_it or n_messages < MOST_MESSAGES) and process.has_message:
            message = process.receive()
            n_messages += 1
            if isinstance(message, Reply):
                self._replays[worker].finish()
                reports.append(Replied(worker, message))
            elif message is not None:
                self._replays[worker].report(message)
        return reports

    def _buried(self, worker: int) -> Lost:
        self._kill_at.pop(worker, None)
        self._replays[worker].finish()
        return self._processes.pop(worker).bury(worker)
