"""Real disks that are full or read-only: small file systems in memory, which only root can mount."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

MIB = 2**20

BLOCK = 4 * 2**10
"""The size of a block of such a file system, in bytes."""


@dataclass(frozen=True)
class Disk:
    """A mounted file system.

    Args:
        folder: Where it is mounted.
    """

    folder: Path

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"

    def fill(self, left: int) -> None:
        """Fills the disk until `left` bytes, in whole blocks, are free; or all of it, if others write too."""
        with suppress(OSError), self._filler.open("wb", buffering=0) as filler:
            free = os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize
            filler.write(bytes(max(0, free - left)))

    def free(self) -> None:
        """Removes what `fill` wrote."""
        self._filler.unlink()

    def make_read_only(self) -> None:
        """Mounts it again without the right to write."""
        _mount("-o", "remount,ro", str(self.folder))

    def make_writable(self) -> None:
        """Mounts it again with the right to write."""
        _mount("-o", "remount,rw", str(self.folder))


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[Disk]:
    """Mounts a disk of some bytes at a new folder; skips the test where that isn't possible."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can mount a small disk")
    folder.mkdir()
    try:
        _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk can't be mounted here: {error}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)
