"""The process that holds a lock, as other processes are shown it."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Holder:
    """The holder of a lock.

    Args:
        pid: The id of its process.
        host: The name of its machine.
        since: The time at which it got the lock, by its own clock. It is only shown, since clocks differ.
    """

    pid: int
    host: str
    since: datetime

    @classmethod
    def here(cls) -> Holder:
        """Returns this process, from now on."""
        return cls(os.getpid(), socket.gethostname(), datetime.now().astimezone().replace(microsecond=0))

    def document(self, **more: object) -> bytes:
        """Returns the holder as JSON, with further fields."""
        content = {"pid": self.pid, "host": self.host, "since": self.since.isoformat(), **more}
        return json.dumps(content).encode("ascii")

    def __str__(self) -> str:
        """Returns the holder in words: `process 12 on node3, since 2026-11-29 17:40:01+00:00`."""
        return f"process {self.pid} on {self.host}, since {self.since.astimezone().isoformat(' ')}"


def holder_in(data: bytes) -> Holder | None:
    """Returns the holder in a document; None if it is not complete, as in the moment when it is written."""
    try:
        content = json.loads(data)
        since = datetime.fromisoformat(content["since"])
        return Holder(int(content["pid"]), str(content["host"]), since.astimezone())
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def in_words(holder: Holder | None) -> str:
    """Returns a holder at the beginning of a sentence; None if it isn't known which process it is."""
    if holder is None:
        return "Another process"
    since = holder.since.astimezone().isoformat(" ")
    return f"Another process (id {holder.pid} on {holder.host}, since {since})"


def waiting_line(holder: Holder | None, doing: str) -> str:
    """Returns the line that a waiting process prints.

    Args:
        holder: The process that works; None if it isn't known which one it is.
        doing: What it does, such as `making the statistics of layer 3`.
    """
    return f"{in_words(holder)} is {doing}; this one waits until it has ended."
