"""The lock on the folder of a run: one process at a time runs a study in it.

The operating system holds the lock and releases it when the process ends, however it ends; a process that
died therefore never keeps another one out. A small file beside the lock says which process has it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from sequela.core.descriptions import write_description
from sequela.core.errors import SequelaError

LOCK = ".lock"
HOLDER = ".running.json"


class RunningElsewhereError(SequelaError):
    """Another process is running a study in the same folder."""


class Holder(BaseModel):
    """The process that runs a study in a folder.

    Args:
        pid: Its id.
        host: The name of its machine.
        since: The time at which it began.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    pid: int
    host: str
    since: AwareDatetime


@contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Holds the lock on a folder, which exists, during a `with` block.

    Raises:
        RunningElsewhereError: Another process, or another thread of this one, has the lock.
        SequelaError: The folder can't be locked.
    """
    lock = _lock(folder)
    _acquire(lock, folder)
    try:
        holder = Holder(pid=os.getpid(), host=socket.gethostname(), since=datetime.now().astimezone())
        write_description(folder / HOLDER, holder)
        try:
            yield
        finally:
            (folder / HOLDER).unlink(missing_ok=True)
    finally:
        lock.release()


def check_not_running(folder: Path) -> None:
    """Checks that no process runs a study in a folder, without creating or changing a file.

    Raises:
        RunningElsewhereError: One does.
    """
    if (folder / HOLDER).is_file() and (folder / LOCK).is_file():
        lock = _lock(folder)
        _acquire(lock, folder)
        lock.release()


def _lock(folder: Path) -> FileLock:
    return FileLock(folder / LOCK, timeout=0, thread_local=False)


def _acquire(lock: FileLock, folder: Path) -> None:
    try:
        lock.acquire()
    except Timeout as error:
        raise RunningElsewhereError(
            f"{_holder(folder)} is running this study in {folder}.",
            hint="Wait until it ends, or choose another folder with --output.",
        ) from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SequelaError(
            f"Can't lock {folder}, which keeps a second process from writing there: {reason}.",
            hint="Choose a folder that you can write, on a file system with locks, with --output.",
        ) from error


def _holder(folder: Path) -> str:
    """Returns which process has the lock, in words."""
    try:
        holder = Holder.model_validate_json((folder / HOLDER).read_bytes())
    except (OSError, ValidationError):  # it has just begun, or it ends
        return "Another process"
    since = holder.since.astimezone().isoformat(" ", "seconds")
    return f"Another process (id {holder.pid} on {holder.host}, since {since})"
