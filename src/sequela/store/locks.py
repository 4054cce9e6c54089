"""Locks of the operating system: held by one process, and free when that process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sequela.core.progress import Progress
from sequela.core.temporary_files import make_folder
from sequela.store.holders import Holder, holder_in, waiting_line

SECONDS_BETWEEN_TRIES = 0.2
"""The interval, in seconds, at which a waiting process tries again."""


class FileLock:
    """A lock on a file that exists only while the lock is held.

    A process that got the lock of a file which was removed in the meantime tries again, so that two processes
    never hold locks of one path.

    Args:
        path: The file; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Tries once to get the lock; returns whether it did."""
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_open_file(descriptor, self._path):
                    self._descriptor, descriptor = descriptor, -1
                    return True
            except BlockingIOError:
                return False
            finally:
                if descriptor >= 0:
                    os.close(descriptor)

    def describe(self, data: bytes) -> None:
        """Writes the holder into the file."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, data, 0)

    def release(self) -> None:
        """Removes the file and gives the lock up."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            self._path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


@contextmanager
def waiting_lock(
    path: Path, what: str, progress: Progress, sleep: Callable[[float], None] = time.sleep
) -> Iterator[None]:
    """Holds the lock of a file in a block; waits for it, and says for whom.

    Args:
        path: The file.
        what: What is being made, such as `the statistics of layer 3`.
        progress: Receives a line when the process begins to wait, and when the holder changes.
        sleep: Waits for a number of seconds.
    """
    make_folder(path.parent)
    lock = FileLock(path)
    said: list[Holder | None] = []
    try:
        while not lock.acquire():
            holder = _holder_of(path)
            if not said or holder not in (None, said[-1]):
                said.append(holder)
                progress.say(waiting_line(what, holder))
            sleep(SECONDS_BETWEEN_TRIES)
        lock.describe(Holder.here().document())
        yield
    finally:
        lock.release()


def _holder_of(path: Path) -> Holder | None:
    with suppress(FileNotFoundError):  # given up in this moment
        return holder_in(path.read_bytes())
    return None


def _is_open_file(descriptor: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False
