"""Files and folders that survive a power cut: synced before they are renamed to where they are looked for."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

_NOT_SYNCED = frozenset({errno.EINVAL, errno.ENOTSUP})
"""The errors of file systems that can't sync a folder; they keep its entries by other means."""


def sync(path: Path) -> None:
    """Waits until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (error.errno in _NOT_SYNCED and path.is_dir()):
            raise
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Waits until a folder and everything in it is on the disk."""
    for inner, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync(Path(inner) / name)
        sync(Path(inner))


def make_folder(folder: Path) -> None:
    """Creates a folder and those above it; all survive a power cut."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
        sync(folder.parent)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "It is a file, not a folder", str(folder))
