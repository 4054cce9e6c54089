"""The processes that have joined a run: each holds a lock in the run's folder as long as it lives."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sequela.core.locks import FileLock, is_held
from sequela.studies.run_status import Process

FOLDER = ".joined"


@contextmanager
def joining(folder: Path) -> Iterator[None]:
    """Makes this process known, during a block, as one that has joined the run in a folder."""
    (folder / FOLDER).mkdir(exist_ok=True)
    lock = FileLock(folder / FOLDER / f"{secrets.token_hex(8)}.lock")
    try:
        lock.acquire()
        yield
    finally:
        lock.release()
        with suppress(OSError):  # others have joined, too
            (folder / FOLDER).rmdir()


def joined(folder: Path) -> tuple[Process, ...]:
    """Returns the processes that have joined the run in a folder, and live."""
    found = []
    for path in sorted((folder / FOLDER).glob("*.lock")):
        holder = FileLock(path).holder() if is_held(path) else None
        if holder is not None:
            found.append(Process.of(holder))
    return tuple(found)


def forget_dead(folder: Path) -> None:
    """Removes what processes left that were killed."""
    for path in (folder / FOLDER).glob("*.lock"):
        lock = FileLock(path)
        if lock.acquire():
            lock.release()
    with suppress(OSError):  # there is none, or some live
        (folder / FOLDER).rmdir()
