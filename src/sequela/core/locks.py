"""Locks between processes: one works, another is refused or waits, and says who works.

The operating system holds a lock and releases it when its process ends, however it ends; a process that died
therefore never keeps another one out. The file of a lock says which process has it, and goes with the lock.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sequela.core.errors import SequelaError
from sequela.core.holders import Holder, holder_in, in_words, waiting_line
from sequela.core.progress import SILENT, Progress

SECONDS_BETWEEN_TRIES = 0.2
"""The seconds that a waiting process sleeps between tries to get a lock."""

_TRIES_FOR_A_NAME = 10
"""The number of tries after which a process is said to wait for one that hasn't said which it is."""

_TRIES_BEFORE_REFUSAL = 3
"""The number of tries to get a lock that refuses: another process may just be looking whether it is held."""


class HeldElsewhereError(SequelaError):
    """Another process, or another thread of this one, has a lock.

    Args:
        holder: The process; None if it isn't known which one it is.
        doing: What it does, for the message.
        hint: What to do.
    """

    def __init__(self, holder: Holder | None, doing: str, hint: str | None = None) -> None:
        super().__init__(f"{in_words(holder)} is {doing}.", hint=hint)
        self.holder = holder


class FileLock:
    """A lock on a file that exists only while the lock is held.

    A process that got the lock of a file which was removed in the meantime tries again, so that two processes
    never hold locks of one path. Where locking is impossible, methods raise an `OSError`.

    Args:
        path: The file; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def is_own(self) -> bool:
        """True while it is held through this object."""
        return self._descriptor is not None

    def acquire(self) -> bool:
        """Tries once to get the lock, and writes this process into the file; returns whether it did."""
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_open_file(descriptor, self.path):
                    self._descriptor, descriptor = descriptor, -1
                    self.describe(Holder.here().document())
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
        """Removes the file and gives the lock up; does nothing if it isn't held through this object."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            self.path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)

    def holder(self) -> Holder | None:
        """Returns the process that holds the lock; None if it isn't known which one it is.

        Nobody may hold it: what a killed process wrote stays. `is_held` says whether somebody does.
        """
        with suppress(FileNotFoundError):  # given up in this moment
            return holder_in(self.path.read_bytes())
        return None


def is_held(path: Path) -> bool:
    """Returns whether a process holds the lock of a file, without creating or changing one."""
    if not path.is_file():
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # given up in this moment
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def wait_for(
    lock: FileLock, doing: str, progress: Progress, sleep: Callable[[float], None] = time.sleep
) -> bool:
    """Gets a lock; while another process has it, waits, and says so.

    Args:
        lock: The lock.
        doing: What is done with it, for messages, such as `downloading tinyllama`.
        progress: Receives a line when the process begins to wait, and when the holder changes.
        sleep: Waits for a number of seconds.

    Returns:
        Whether another process had it before.
    """
    tries, said = 0, list[Holder | None]()
    while not lock.acquire():
        holder = lock.holder()
        if holder not in said and (holder is not None or tries == _TRIES_FOR_A_NAME):
            progress.say(waiting_line(holder, doing))
            said.append(holder)
        tries += 1
        sleep(SECONDS_BETWEEN_TRIES)
    return tries > 0


@contextmanager
def waiting_lock(path: Path, doing: str, progress: Progress = SILENT) -> Iterator[bool]:
    """Holds a lock during a `with` block; while another process has it, waits, and says so.

    Code within the block looks first whether the other process has done the work.

    Args:
        path: The file of the lock, in a folder that exists. A lock can't be taken twice by one thread.
        doing: What is done with it, for messages, such as `downloading tinyllama`.
        progress: Receives the message.

    Yields:
        Whether another process had the lock before.

    Raises:
        SequelaError: The file can't be locked.
    """
    lock = FileLock(path)
    try:
        with lock_errors_in_words(path):
            waited = wait_for(lock, doing, progress)
        yield waited
    finally:
        lock.release()


@contextmanager
def exclusive_lock(path: Path, doing: str, hint: str) -> Iterator[None]:
    """Holds a lock during a `with` block, or refuses at once.

    Args:
        path: The file of the lock, in a folder that exists.
        doing: What is done with it, for messages.
        hint: What to do if another process has it.

    Raises:
        HeldElsewhereError: Another process, or another thread of this one, has it.
        SequelaError: The file can't be locked.
    """
    lock = FileLock(path)
    try:
        with lock_errors_in_words(path):
            tries = 1
            while not lock.acquire():
                if tries == _TRIES_BEFORE_REFUSAL:
                    raise HeldElsewhereError(lock.holder(), doing, hint)
                tries += 1
                time.sleep(SECONDS_BETWEEN_TRIES)
        yield
    finally:
        lock.release()


def check_not_held(path: Path, doing: str, hint: str) -> None:
    """Checks that no process has a lock, without creating or changing a file.

    Raises:
        HeldElsewhereError: One has.
        SequelaError: The file can't be locked.
    """
    with lock_errors_in_words(path):
        if is_held(path):
            raise HeldElsewhereError(FileLock(path).holder(), doing, hint)


@contextmanager
def lock_errors_in_words(path: Path) -> Iterator[None]:
    """Converts the errors of the system in a block, which locks a file, to one that says what to do.

    Raises:
        SequelaError: The block raised an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise SequelaError(
            f"Can't lock {path.parent}, which keeps a second process from writing there: "
            f"{error.strerror or error}.",
            hint="Choose a folder that you can write, on a file system with locks.",
        ) from error


def _is_open_file(descriptor: int, path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False
