"""Progress and log records of a worker process, sent to the main process and reported there."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Protocol

from sequela.core.progress import Progress
from sequela.core.workload import Workload

SECONDS_BETWEEN_REPORTS = 0.1
"""The least time between two reports of finished units, in seconds; a loop may finish thousands in it."""


@dataclass(frozen=True)
class ProgressStarted:
    """A worker's `Progress.start`; the id is the worker's own."""

    id: int
    description: str
    total: int | None


@dataclass(frozen=True)
class ProgressMade:
    """The units of a worker's piece of work that were finished since the last report."""

    id: int
    units: int


@dataclass(frozen=True)
class ProgressFinished:
    """A worker's `Progress.finish`."""

    id: int


@dataclass(frozen=True)
class Said:
    """A line that stays on the screen."""

    text: str


@dataclass(frozen=True)
class Logged:
    """A log record."""

    logger: str
    level: int
    text: str


Message = ProgressStarted | ProgressMade | ProgressFinished | Said | Logged


class Sender(Protocol):
    """A receiver of what goes to the main process."""

    def send(self, message: Message) -> None:
        """Sends a message."""
        ...


class Channel:
    """The worker's end of the connection to the main process; any thread may send."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Reentrant and not held while pickling, for that may free objects that warn, and warnings are sent.
        self._lock = threading.RLock()

    def send(self, message: object) -> None:
        """Sends a message.

        Raises:
            Exception: It can't be pickled; nothing was sent.
        """
        pickled = ForkingPickler.dumps(message)
        with self._lock:
            self._connection.send_bytes(pickled)

    def receive(self) -> object:
        """Returns the next message.

        Raises:
            EOFError: The main process has closed the connection.
            Exception: The message can't be unpickled; the next one can be received.
        """
        return self._connection.recv()


class SentProgress:
    """A progress that sends all reports to the main process."""

    def __init__(self, channel: Sender) -> None:
        self._channel = channel
        self._n_started = 0
        self._unsent: Counter[int] = Counter()
        self._sent_at = 0.0
        self._lock = threading.Lock()

    def start(self, description: str, total: int | None) -> int:
        """Sends the begin of a piece of work; returns its id."""
        with self._lock:
            self._n_started += 1
            number = self._n_started
        self._channel.send(ProgressStarted(number, description, total))
        return number

    def advance(self, task: int, units: int = 1) -> None:
        """Counts finished units, and sends the numbers from time to time."""
        with self._lock:
            self._unsent[task] += units
        if time.monotonic() - self._sent_at >= SECONDS_BETWEEN_REPORTS:
            self._send_units()

    def finish(self, task: int) -> None:
        """Sends the end of a piece of work."""
        self._send_units()
        self._channel.send(ProgressFinished(task))

    def say(self, message: str) -> None:
        """Sends a line."""
        self._channel.send(Said(message))

    def watch(self, workload: Workload | None) -> None:
        """Ignores the workload: only the main process knows all tasks of a run."""

    def _send_units(self) -> None:
        with self._lock:
            unsent, self._unsent = self._unsent, Counter()
            self._sent_at = time.monotonic()
        for number, units in unsent.items():
            self._channel.send(ProgressMade(number, units))


class LogSender(logging.Handler):
    """Sends warnings and errors to the main process, where they are logged again."""

    def __init__(self, channel: Sender) -> None:
        super().__init__(logging.WARNING)
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Sends a record."""
        self._channel.send(Logged(record.name, record.levelno, record.getMessage()))


class Replay:
    """Reports the messages of one worker in the main process.

    Args:
        name: The name of the worker, which its log records begin with; empty if they have it already.
        progress: Receives its progress reports.
    """

    def __init__(self, name: str, progress: Progress) -> None:
        self._prefix = f"{name}: " if name else ""
        self._progress = progress
        self._open: dict[int, int] = {}

    def report(self, message: Message) -> None:
        """Reports a message."""
        if isinstance(message, ProgressStarted):
            self._open[message.id] = self._progress.start(message.description, message.total)
        elif isinstance(message, ProgressMade):
            if message.id in self._open:
                self._progress.advance(self._open[message.id], message.units)
        elif isinstance(message, ProgressFinished):
            if message.id in self._open:
                self._progress.finish(self._open.pop(message.id))
        elif isinstance(message, Said):
            self._progress.say(message.text)
        else:
            logging.getLogger(message.logger).log(message.level, "%s%s", self._prefix, message.text)

    def finish(self) -> None:
        """Ends what the worker has begun and not ended, as after a crash."""
        while self._open:
            self._progress.finish(self._open.popitem()[1])


class LabeledProgress:
    """A progress whose descriptions and lines begin with a label, such as the name of a worker.

    Args:
        progress: Receives the reports.
        label: The label.
    """

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress = progress
        self._label = label

    def start(self, description: str, total: int | None) -> int:
        """Begins a piece of work."""
        return self._progress.start(f"{self._label}: {description}", total)

    def advance(self, task: int, units: int = 1) -> None:
        """Reports finished units."""
        self._progress.advance(task, units)

    def finish(self, task: int) -> None:
        """Ends a piece of work."""
        self._progress.finish(task)

    def say(self, message: str) -> None:
        """Prints a line."""
        self._progress.say(f"{self._label}: {message}")

    def watch(self, workload: Workload | None) -> None:
        """Shows the progress of a workload."""
        self._progress.watch(workload)
