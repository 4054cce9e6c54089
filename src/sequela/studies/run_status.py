"""The status of a run that goes on: a small file in its folder that the main process keeps."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict

from sequela.core.descriptions import read_description_of, write_description
from sequela.core.holders import Holder
from sequela.core.workload import Workload
from sequela.results.manifest import utc_now
from sequela.studies.run_requests import Requested

STATUS_NAME = ".status.json"

SECONDS_TO_ESTIMATE = 5.0
"""The interval, in seconds, at which the estimate of the remaining time alone is worth a new file."""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class RunningTask(_Document):
    """A task that a worker is doing.

    Args:
        worker: The name of the worker.
        task: The task, in words.
        since: The time at which it began.
    """

    worker: str
    task: str
    since: AwareDatetime


class Process(_Document):
    """A process that works on a run.

    Args:
        pid: Its id.
        host: The name of its machine.
        since: The time at which it began.
    """

    pid: int
    host: str
    since: AwareDatetime

    @classmethod
    def of(cls, holder: Holder) -> Process:
        """Returns the holder of a lock."""
        return cls(pid=holder.pid, host=holder.host, since=holder.since)


class RunStatus(_Document):
    """The status of a run that goes on.

    Args:
        process: The main process.
        updated: The time at which the status was written.
        is_paused: True if no more tasks are started.
        steps_done: The number of finished steps: evaluations, and edits between two checkpoints.
        steps_planned: The number of all steps.
        seconds_left: The estimated remaining seconds; None while there is no basis for an estimate.
        running: What the workers of the main process do.
        failed: The failed tasks, each with the error.
        canceled: The cells that were canceled.
        joined: The processes that have joined.
    """

    process: Process
    updated: AwareDatetime
    is_paused: bool
    steps_done: int
    steps_planned: int
    seconds_left: float | None
    running: tuple[RunningTask, ...]
    failed: tuple[str, ...]
    canceled: tuple[str, ...]
    joined: tuple[Process, ...]


class StatusBoard:
    """The knowledge about a run while it goes on. Any thread may read while another one writes."""

    def __init__(self) -> None:
        self._process = Process.of(Holder.here())
        self._running: dict[str, RunningTask] = {}
        self._failed: dict[str, str] = {}
        self._lock = threading.Lock()

    def started(self, key: str, task: str, worker: str) -> None:
        """Notes that a worker begins a task."""
        with self._lock:
            self._running[key] = RunningTask(worker=worker, task=task, since=utc_now())

    def ended(self, key: str) -> None:
        """Notes that a task is no longer under way."""
        with self._lock:
            self._running.pop(key, None)

    def failed(self, key: str, failure: str) -> None:
        """Notes that a task has failed."""
        with self._lock:
            self._failed[key] = failure

    def status(self, workload: Workload, requested: Requested, joined: tuple[Process, ...]) -> RunStatus:
        """Returns the status now."""
        with self._lock:
            running, failed = tuple(self._running.values()), tuple(self._failed.values())
        left = workload.seconds_left()
        return RunStatus(
            process=self._process,
            updated=utc_now(),
            is_paused=requested.is_paused,
            steps_done=workload.n_done,
            steps_planned=workload.n_pieces,
            seconds_left=None if left is None else round(left, 1),
            running=running,
            failed=failed,
            canceled=tuple(map(str, requested.canceled)),
            joined=joined,
        )


class StatusFile:
    """The file with the status of a run.

    Args:
        folder: The folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / STATUS_NAME
        self._written: RunStatus | None = None

    def write(self, status: RunStatus) -> None:
        """Replaces the file if the status has changed.

        Raises:
            CantWriteError: The system refuses to write.
        """
        before = self._written
        if before is None or _news(status) != _news(before) or _age(before) >= SECONDS_TO_ESTIMATE:
            write_description(self._path, status)
            self._written = status

    def read(self) -> RunStatus | None:
        """Returns the status; None if there is no file.

        Raises:
            SequelaError: The file is damaged.
        """
        return read_description_of(self._path, RunStatus, "status") if self._path.is_file() else None

    def remove(self) -> None:
        """Removes the file, when the run ends."""
        self._path.unlink(missing_ok=True)


def _news(status: RunStatus) -> RunStatus:
    return status.model_copy(update={"updated": None, "seconds_left": None})


def _age(status: RunStatus) -> float:
    return (datetime.now().astimezone() - status.updated).total_seconds()
