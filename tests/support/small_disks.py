"""Small file systems in memory, which tests fill up or make read-only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, kibibytes: int) -> Iterator[Path]:
    """Mounts a file system of some KiB for the duration of a block; skips the test if that isn't allowed."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a small file system, on Linux")
    folder.mkdir()
    mounted = _run("mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(folder))
    if mounted.returncode:
        pytest.skip(f"a file system can't be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        _run("umount", "--lazy", str(folder))


def make_read_only(folder: Path) -> None:
    """Makes a mounted file system read-only."""
    assert _run("mount", "-o", "remount,ro", str(folder)).returncode == 0


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
