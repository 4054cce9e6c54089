"""A worker on a node of a Ray cluster: an actor that holds one worker process."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from dataclasses import dataclass

from sequela.scheduling.executor import Report, WorkbenchFactory, Worker
from sequela.scheduling.processes import ProcessExecutor
from sequela.scheduling.reporting import LogSender, Message, SentProgress
from sequela.scheduling.task import Task

SECONDS_BETWEEN_MESSAGES = 0.2
"""The time, in seconds, in which progress is gathered before it is sent."""

SECONDS_BETWEEN_CHECKS = 1.0
"""The time, in seconds, after which an actor notices at the latest that its node is gone."""


@dataclass(frozen=True)
class Heard:
    """The messages and reports of a worker process since the last call.

    Args:
        messages: Progress and log records, in order.
        reports: The answer to the task, or the end of the process.
    """

    messages: tuple[Message, ...]
    reports: tuple[Report, ...]


class RayWorker:
    """The class of the actors.

    The tasks run in a process beside the actor, as with `ProcessExecutor`. So a crash has a reason and a log
    that reach the main process, and the process ends, with all that its task has started, when the actor
    does. Calls come in several threads: `listen` while the others do something.

    Args:
        factory: Builds the workbench.
        worker: The worker, with the environment variables of its process.
        grace: The time in seconds that an interrupted task has to end by itself.
    """

    def __init__(self, factory: WorkbenchFactory, worker: Worker, grace: float) -> None:
        self._executor = ProcessExecutor(factory, [worker], grace)
        self._mailbox = _Mailbox()
        self._has_task = threading.Event()
        logging.getLogger().addHandler(_log_sender(self._mailbox))
        self._executor.open(lambda name: SentProgress(self._mailbox))
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()

    def node(self) -> str:
        """Returns the name and the address of the node; the answer says that the actor is there."""
        import ray

        return f"{socket.gethostname()} ({ray.util.get_node_ip_address()})"

    def submit(self, task: Task) -> None:
        """Gives the worker a task; it has none."""
        self._executor.submit(0, task)
        self._has_task.set()

    def listen(self, seconds: float) -> Heard:
        """Returns what has happened, and waits for it, but not for longer than given."""
        end = time.monotonic() + seconds
        if not self._has_task.wait(seconds):
            return Heard(self._mailbox.emptied(), ())
        reports: list[Report] = []
        while not reports and time.monotonic() < end:
            reports += self._executor.wait(SECONDS_BETWEEN_MESSAGES)
            if self._mailbox.age > SECONDS_BETWEEN_MESSAGES:
                break
        if reports:
            self._has_task.clear()
        return Heard(self._mailbox.emptied(), tuple(reports))

    def close(self) -> None:
        """Ends the process: at once if it is idle, otherwise after an interrupt and, if need be, by force."""
        self._executor.close()


def _end_with_parent(parent: int) -> None:
    """Ends the actor when Ray's process on this node has ended, which it may not notice by itself."""
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_CHECKS)
    os._exit(1)


class _Mailbox:
    """The messages that are to be sent; any thread may add some."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._messages: list[Message] = []
        self._first_at = float("inf")

    def send(self, message: Message) -> None:
        with self._lock:
            self._first_at = min(self._first_at, time.monotonic())
            self._messages.append(message)

    @property
    def age(self) -> float:
        """The time since the oldest message, in seconds; negative if there is none."""
        return time.monotonic() - self._first_at

    def emptied(self) -> tuple[Message, ...]:
        with self._lock:
            messages, self._messages = tuple(self._messages), []
            self._first_at = float("inf")
        return messages


def _log_sender(mailbox: _Mailbox) -> logging.Handler:
    handler = LogSender(mailbox)
    handler.addFilter(lambda record: record.name.partition(".")[0] != "ray")
    return handler
