"""Locks between processes: one works, another is refused or waits, and says who works.

The operating system holds a lock and releases it when its process ends, however it ends; a process that died
therefore never keeps another one out. A small file beside the lock says which process has it. The lock's own
file stays: deleting it would let two processes lock two files of one name.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import AwareDatetime, BaseModel, ConfigDict

from sequela.core.descriptions import read_description_of, write_description
from sequela.core.errors import SequelaError
from sequela.core.progress import SILENT, Progress

SECONDS_BETWEEN_TRIES = 0.2
"""The seconds that a waiting process sleeps between tries to get a lock."""

_TRIES_FOR_A_NAME = 10
"""The number of tries after which a process is said to wait for one that hasn't said which it is."""

_UNNAMED = "Another process"


class HeldElsewhereError(SequelaError):
    """Another process, or another thread of this one, has a lock."""


class Holder(BaseModel):
    """The process that has a lock.

    Args:
        pid: Its id.
        host: The name of its machine.
        since: The time at which it got the lock, by that machine's clock.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    pid: int
    host: str
    since: AwareDatetime


@contextmanager
def waiting_lock(path: Path, what: str, progress: Progress = SILENT) -> Iterator[bool]:
    """Holds a lock during a `with` block; while another process has it, waits, and says so.

    Code within the block looks first whether the other process has done the work.

    Args:
        path: The file of the lock, in a folder that exists. A lock can't be taken twice by one thread.
        what: What is done with it, for messages, such as `downloading tinyllama`.
        progress: Receives the message.

    Yields:
        Whether another process had the lock before.

    Raises:
        SequelaError: The file can't be locked.
    """
    lock, tries, said = _lock_of(path), 0, ""
    while not _acquired(lock, path):
        holder = holder_of(path)
        if holder != said and (holder != _UNNAMED or tries == _TRIES_FOR_A_NAME):
            progress.say(f"{holder} is {what}; this one waits until it has ended.")
            said = holder
        tries += 1
        time.sleep(SECONDS_BETWEEN_TRIES)
    with _releasing(lock, path):
        yield tries > 0


@contextmanager
def exclusive_lock(path: Path, what: str, hint: str) -> Iterator[None]:
    """Holds a lock during a `with` block, or refuses at once.

    Args:
        path: The file of the lock, in a folder that exists.
        what: What is done with it, for messages.
        hint: What to do if another process has it.

    Raises:
        HeldElsewhereError: Another process, or another thread of this one, has it.
        SequelaError: The file can't be locked.
    """
    lock = _lock_of(path)
    if not _acquired(lock, path):
        raise HeldElsewhereError(f"{holder_of(path)} is {what}.", hint=hint)
    with _releasing(lock, path):
        yield


def check_not_held(path: Path, what: str, hint: str) -> None:
    """Checks that no process has a lock, without creating or changing a file.

    Raises:
        HeldElsewhereError: One has.
        SequelaError: The file can't be locked.
    """
    if path.is_file() and holder_file(path).is_file():
        lock = _lock_of(path)
        if not _acquired(lock, path):
            raise HeldElsewhereError(f"{holder_of(path)} is {what}.", hint=hint)
        lock.release()


def holder_file(path: Path) -> Path:
    """Returns the file that says which process has a lock."""
    return path.with_name(f"{path.name}.json")


def holder_of(path: Path) -> str:
    """Returns which process has a lock, in words."""
    try:
        holder = read_description_of(holder_file(path), Holder, "lock")
    except SequelaError:  # it has just got it, it ends, or the file is damaged
        return _UNNAMED
    since = holder.since.astimezone().isoformat(" ", "seconds")
    return f"Another process (id {holder.pid} on {holder.host}, since {since})"


def _lock_of(path: Path) -> FileLock:
    return FileLock(path, timeout=0, thread_local=False)


def _acquired(lock: FileLock, path: Path) -> bool:
    try:
        lock.acquire()
    except Timeout:
        return False
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SequelaError(
            f"Can't lock {path.parent}, which keeps a second process from writing there: {reason}.",
            hint="Choose a folder that you can write, on a file system with locks.",
        ) from error
    return True


@contextmanager
def _releasing(lock: FileLock, path: Path) -> Iterator[None]:
    """Says during a `with` block that this process has a lock, and releases it at the end."""
    try:
        holder = Holder(pid=os.getpid(), host=socket.gethostname(), since=datetime.now().astimezone())
        write_description(holder_file(path), holder)
        try:
            yield
        finally:
            holder_file(path).unlink(missing_ok=True)
    finally:
        lock.release()
