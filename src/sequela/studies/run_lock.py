"""The lock on the folder of a run: one process at a time runs a study in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sequela.core.locks import FileLock, check_not_held, exclusive_lock, lock_errors_in_words

LOCK = ".lock"

_HINT = "Wait until it ends, help it with --join, or choose another folder with --output."


@contextmanager
def only_process(folder: Path) -> Iterator[None]:
    """Holds the lock on a folder, which exists, during a `with` block.

    Raises:
        HeldElsewhereError: Another process, or another thread of this one, has the lock.
        SequelaError: The folder can't be locked.
    """
    with exclusive_lock(folder / LOCK, _running(folder), _HINT):
        yield


def lock_of(folder: Path) -> FileLock:
    """Returns the lock on a folder, which exists, for a process that joins the run in it."""
    return FileLock(folder / LOCK)


def acquired(lock: FileLock) -> bool:
    """Tries once to get a lock; returns whether this process has it now.

    Raises:
        SequelaError: The folder can't be locked.
    """
    with lock_errors_in_words(lock.path):
        return lock.acquire()


def check_not_running(folder: Path) -> None:
    """Checks that no process runs a study in a folder, without creating or changing a file.

    Raises:
        HeldElsewhereError: One does.
    """
    check_not_held(folder / LOCK, _running(folder), _HINT)


def _running(folder: Path) -> str:
    return f"running this study in {folder}"
