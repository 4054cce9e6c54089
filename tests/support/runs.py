"""Progress that stops a run or records what it receives, and readers of a run's results."""

from __future__ import annotations

from pathlib import Path

from sequela.core.progress import SilentProgress
from sequela.core.workload import Workload
from sequela.editors.storage import DELTA, DESCRIPTION
from sequela.results import EditRecord, Measurement, Query, open_store


class StopAt(SilentProgress):
    """Raises KeyboardInterrupt when a task with a given prefix has started a number of times."""

    def __init__(self, description: str, times: int) -> None:
        self.description, self.left = description, times

    def start(self, description: str, total: int | None) -> int:
        if description.startswith(self.description):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return 0


class StopAfterMessage(SilentProgress):
    """Raises KeyboardInterrupt when a message contains a given text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def say(self, message: str) -> None:
        if self.text in message:
            raise KeyboardInterrupt


class MessageLog(SilentProgress):
    """Records messages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def measured(folder: Path, **wanted: object) -> list[Measurement]:
    with open_store(folder) as store:
        return store.measurements(Query(**wanted))  # type: ignore[arg-type]


def edit_records(folder: Path) -> list[EditRecord]:
    with open_store(folder) as store:
        return store.edit_records()


def checkpoint_files(folder: Path) -> dict[str, bytes]:
    """The bytes of the deltas of all checkpoints, by their path within the run."""
    paths = [path for name in (DELTA, DESCRIPTION) for path in folder.rglob(name)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


class WorkloadLog(SilentProgress):
    """Records the workload, its label when tasks start, and messages."""

    workload: Workload

    def __init__(self) -> None:
        self.begun: list[tuple[str, str]] = []
        self.lines: list[str] = []

    def watch(self, workload: Workload | None) -> None:
        if workload is not None:
            self.workload = workload

    def start(self, description: str, total: int | None) -> int:
        self.begun.append((self.workload.label, description))
        return 0

    def say(self, message: str) -> None:
        self.lines.append(message)
