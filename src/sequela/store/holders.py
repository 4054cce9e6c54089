"""The process that holds a lock, as other processes are shown it."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from datetime import datetime, timezone


@dataclass(frozen=True)
class Holder:
    """The holder of a lock.

    Args:
        host: The name of its machine.
        pid: The number of its process.
        since: The time when it got the lock, by its own clock. It is only shown: clocks of machines differ.
    """

    host: str
    pid: int
    since: str

    @classmethod
    def here(cls) -> Holder:
        """Returns this process, from now on."""
        now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
        return cls(socket.gethostname(), os.getpid(), now)

    def document(self, **more: object) -> bytes:
        """Returns the holder as JSON, with further fields."""
        return json.dumps({**asdict(self), **more}).encode("ascii")

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


def holder_in(data: bytes) -> Holder | None:
    """Returns the holder in a document; None if it is not complete, as in the moment when it is written."""
    try:
        content = json.loads(data)
        return Holder(str(content["host"]), int(content["pid"]), str(content["since"]))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def waiting_line(what: str, holder: Holder | None) -> str:
    """Returns the line that a waiting process prints.

    Args:
        what: What is being made, such as `the statistics of layer 3`.
        holder: Who makes it; None if that isn't known yet.
    """
    return f"Waiting for {what}, made by {holder or 'another process'}."
