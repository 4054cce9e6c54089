"""Where files live: the cache, and the user's folder of data sets.

Both are read from the environment when asked for, never at import:

* `SEQUELA_CACHE`: models, statistics; by default the platform's user cache folder.
* `SEQUELA_DATA`: a local folder of data sets; where it has the file, it wins over the hub.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sequela.core.errors import SequelaError

CACHE_VARIABLE = "SEQUELA_CACHE"
DATA_VARIABLE = "SEQUELA_DATA"


def cache_folder() -> Path:
    """The folder for downloaded models and computed statistics (not created here)."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "sequela"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sequela"


def data_folder() -> Path | None:
    """The user's folder of data sets, or None when `SEQUELA_DATA` is not set.

    Raises:
        SequelaError: The variable names something that is not a folder.
    """
    chosen = os.environ.get(DATA_VARIABLE)
    if not chosen:
        return None
    folder = Path(chosen).expanduser()
    if not folder.is_dir():
        raise SequelaError(
            f"{DATA_VARIABLE} is {chosen!r}, which is not a folder.",
            hint="Set it to a folder of data sets, or unset it to use the Hugging Face hub.",
        )
    return folder


def ensure_writable(folder: Path, needed_bytes: int = 0) -> None:
    """Creates `folder` and proves that files can be written there, before long work begins.

    Args:
        folder: The folder to make and to try.
        needed_bytes: How much space the work is going to need.

    Raises:
        SequelaError: It can't be made or written, or the disk has too little space left.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SequelaError(
            f"Can't write to {folder}: {error.strerror or error}.", hint="Choose another folder."
        ) from error
    free = _free_bytes(folder)
    if free < needed_bytes:
        raise SequelaError(
            f"{folder} has {free / 2**20:.0f} MiB of free space; {needed_bytes / 2**20:.0f} MiB are needed.",
            hint="Free some space, or choose another folder.",
        )


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary neighbour of `path` that takes its place only if the block ends well.

    A reader therefore sees the old file or the whole new one, never a part.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free
