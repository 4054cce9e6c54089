"""Temporary files and folders that are recognized after a kill, and writing that survives a power cut.

The name of a temporary file has the process that writes it: `.sequela-<machine>-<process id>-<start>-…`. A
process that is killed leaves it behind; the next one that writes to the folder finds the process dead and
removes it. Temporary files of living processes and of other machines, which may share the folder, stay.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NAME = re.compile(r"\.sequela-(?P<machine>[^-]*)-(?P<pid>\d+)-(?P<start>\d+)-[0-9a-f]{8}(\..*)?")

_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.ENOSYS, errno.ENOTTY})
"""The errors of file systems that can't write a file or folder through, such as some in memory."""


def temporary_name(suffix: str = "") -> str:
    """Returns a new name for a temporary file or folder of this process.

    Args:
        suffix: Its end, such as `.json`, for writers that choose a format by it.
    """
    pid = os.getpid()
    return f".sequela-{_machine()}-{pid}-{_state_of(pid)[1]}-{secrets.token_hex(4)}{suffix}"


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Yields a new folder in `parent`, which exists; it is deleted at the end of the `with` block."""
    remove_strays(parent)
    folder = parent / temporary_name()
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """Returns a new folder in the system's own for temporary files; it is deleted with the object."""
    parent = Path(tempfile.gettempdir())
    remove_strays(parent)
    return tempfile.TemporaryDirectory(dir=parent, prefix=f"{temporary_name()}.")


def remove_strays(folder: Path) -> None:
    """Removes the temporary files and folders that dead processes of this machine left in a folder."""
    with os.scandir(folder) as entries:
        strays = [Path(entry.path) for entry in entries if _is_stray(entry.name)]
    for stray in strays:
        with suppress(OSError):  # of another user, or another process removes it at the same time
            if stray.is_dir() and not stray.is_symlink():
                shutil.rmtree(stray)
            else:
                stray.unlink()


def remove_strays_within(folder: Path) -> None:
    """Removes what `remove_strays` removes from a folder and from all folders in it, at any depth."""
    for inner, _, _ in os.walk(folder):
        remove_strays(Path(inner))


def sync_file(path: Path) -> None:
    """Waits until the content of a file is on the disk, so that no power cut can lose it."""
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)  # Windows wants to write
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk: a file that was renamed keeps its new name.

    Windows can't open folders, and writes names through by itself.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        _sync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Waits until everything in a folder, at any depth, is on the disk."""
    for inner, _, names in os.walk(folder):
        for name in names:
            sync_file(Path(inner, name))
        sync_folder(Path(inner))


def make_folder(folder: Path) -> None:
    """Creates a folder and the missing ones that it lies in, so that they survive a power cut."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in reversed(missing):
        sync_folder(one.parent)


def is_running(pid: int, start: int = 0) -> bool:
    """Returns whether a process of this machine lives; if that can't be determined, that it does.

    Args:
        pid: The id of the process.
        start: When it started, if that is known: another process may have the id by now.

    A process that was killed and that its parent has not asked about yet is dead.
    """
    if os.name == "nt":  # sending a signal would end the process
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    state, started = _state_of(pid)
    return state != "Z" and (not start or started in (0, start))


def _is_stray(name: str) -> bool:
    found = _NAME.fullmatch(name)
    if found is None or found["machine"] != _machine():
        return False
    return not is_running(int(found["pid"]), int(found["start"]))


def _machine() -> str:
    """Returns the name of the machine for names of files, with the space of process ids if it has several.

    Two containers on one machine may have the same name; each has process ids of its own.
    """
    host = re.sub(r"[^A-Za-z0-9_.]", "_", socket.gethostname())[:40]
    try:
        return f"{host}.{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:  # not Linux: there is one space
        return host


def _state_of(pid: int) -> tuple[str, int]:
    """Returns the letter of a process's state, and when it started, in the system's ticks since it booted.

    They are empty and 0 where the system doesn't tell, and of a process that doesn't exist.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux, or the process has ended
        return "", 0
    fields = text.rpartition(")")[2].split()  # the name before it, in parentheses, may have spaces
    return fields[0], int(fields[19])


def _sync(descriptor: int) -> None:
    try:
        if sys.platform == "darwin":  # there, fsync leaves the data in the disk's own cache
            import fcntl

            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        else:
            os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
