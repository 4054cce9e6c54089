"""The locations of files: the cache, and the user's folder of data sets.

Both are read from the environment on each call, never at import:

* `SEQUELA_CACHE`: models, statistics; by default the platform's user cache folder.
* `SEQUELA_DATA`: a local folder of data sets; files in it take precedence over the hub.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from sequela.core.errors import BadInputError, CantWriteError, SequelaError
from sequela.core.plain_values import text_problem
from sequela.core.temporary_files import (
    make_folder,
    remove_strays,
    sync_file,
    sync_folder,
    sync_tree,
    temporary_folder,
    temporary_name,
)
from sequela.core.visible_text import shortened
from sequela.core.wording import size_in_words

CACHE_VARIABLE = "SEQUELA_CACHE"
DATA_VARIABLE = "SEQUELA_DATA"


def user_path(text: str) -> Path:
    """Returns the path that a user wrote, with `~` expanded; the file need not exist.

    Raises:
        BadInputError: The text can't be a path: it has a NUL character, is longer than the file system takes,
            or begins with the home folder of a user who doesn't exist.
    """
    problem = text_problem(text)
    if problem:
        raise BadInputError(f"{text!r} is not a path: it has {problem}.")
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise BadInputError(
            f"{text!r} is not a path: there is no home folder of {text.partition('/')[0]!r}.",
            hint="Write the whole path.",
        ) from error
    try:
        path.exists()
    except OSError as error:
        raise BadInputError(
            f"The path {shortened(text, 80)!r} can't be used: {error.strerror or error}."
        ) from error
    return path


def cache_folder() -> Path:
    """Returns the folder for downloaded models and computed statistics; doesn't create it.

    Raises:
        SequelaError: The user has no home folder, and no variable names another one.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return user_path(chosen)
    try:
        home = Path.home()
    except RuntimeError as error:
        raise SequelaError(
            "There is no home folder for the cache.", hint=f"Set {CACHE_VARIABLE} to a folder."
        ) from error
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "sequela"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else home / ".cache") / "sequela"


def data_folder() -> Path | None:
    """Returns the user's folder of data sets, or None if `SEQUELA_DATA` is not set.

    Raises:
        SequelaError: The value of the variable is not a folder.
    """
    chosen = os.environ.get(DATA_VARIABLE)
    if not chosen:
        return None
    folder = user_path(chosen)
    if not folder.is_dir():
        raise SequelaError(
            f"{DATA_VARIABLE} is {chosen!r}, which is not a folder.",
            hint="Set it to a folder of data sets, or unset it to use the Hugging Face hub.",
        )
    return folder


def ensure_writable(folder: Path, needed_bytes: int = 0, path: Path | None = None) -> None:
    """Creates `folder` and checks that files can be written there, before long work begins.

    Args:
        folder: The folder to create and check.
        needed_bytes: The disk space that the work will need.
        path: What the user named, for messages, if that is not the folder but something in it.

    Raises:
        SequelaError: The folder can't be created or written, or the disk has too little free space.
    """
    named, kind = (folder, "folder") if path is None else (path, "path")
    try:
        if folder.exists() and not folder.is_dir():
            raise SequelaError(
                f"Can't write to {named}: {'it' if named == folder else folder} is a file, not a folder.",
                hint=f"Choose another {kind}.",
            )
        make_folder(folder)
        remove_strays(folder)
        trial = folder / temporary_name()
        try:
            trial.write_bytes(b"?")  # an empty file can be made on a full disk
        finally:
            trial.unlink(missing_ok=True)
    except OSError as error:
        raise SequelaError(
            f"Can't write to {named}: {error.strerror or error}.", hint=f"Choose another {kind}."
        ) from error
    free = _free_bytes(folder)
    if free < needed_bytes:
        raise SequelaError(
            f"{folder} has {size_in_words(free)} of free space; {size_in_words(needed_bytes, up=True)} are "
            "needed.",
            hint="Free some space, or choose another folder.",
        )


def ensure_writable_file(path: Path) -> None:
    """Creates the folder of a file and checks that the file can be written, before long work begins.

    Raises:
        SequelaError: The path is a folder, or the file can't be written.
    """
    try:
        is_folder = path.is_dir()
    except OSError as error:  # such as a name that is too long
        raise SequelaError(
            f"Can't write to {path}: {error.strerror}.", hint="Choose another path."
        ) from error
    if is_folder:
        raise SequelaError(f"Can't write to {path}: it is a folder.", hint="Name a file.")
    ensure_writable(path.parent, path=path)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary file next to `path` that replaces it only if the `with` block succeeds.

    A reader therefore sees the old file or the complete new one, never a part, also after a kill or a power
    cut: the file is written through to the disk before it gets its name, and the name after that.

    Raises:
        CantWriteError: The system refuses to write, as on a full disk; what was there before is unchanged.
    """
    with _naming_target(path):
        make_folder(path.parent)
        remove_strays(path.parent)
        temporary = path.parent / temporary_name(path.suffix[:_LONGEST_SUFFIX])
        temporary.open("xb").close()
        try:
            yield temporary
            sync_file(temporary)
            temporary.replace(path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def committing_folder(path: Path) -> Iterator[Path]:
    """Yields a new folder next to `path` that takes its place only if the `with` block succeeds.

    A folder that is there already is replaced as a whole. A reader sees the old folder, none for a moment, or
    the complete new one, never a part, also after a kill or a power cut.

    Raises:
        CantWriteError: The system refuses to write, as on a full disk; what was there before is unchanged.
    """
    with _naming_target(path):
        make_folder(path.parent)
        with temporary_folder(path.parent) as temporary:
            building, former = temporary / "new", temporary / "former"
            building.mkdir()
            yield building
            sync_tree(building)
            if path.exists():
                path.rename(former)
            try:
                building.rename(path)
            except OSError:
                if former.exists():
                    former.rename(path)
                raise
            sync_folder(path.parent)


@contextlib.contextmanager
def _naming_target(path: Path) -> Iterator[None]:
    """Converts an error of the system while a file is written to one that names the file and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise CantWriteError(
            f"Can't write {path}: {error.strerror or error}.",
            hint="Free some space, then repeat the command. What was stored before is unchanged."
            if error.errno in (errno.ENOSPC, errno.EDQUOT)
            else "Choose a place that you can write. What was stored before is unchanged.",
        ) from error


_LONGEST_SUFFIX = 20
"""The number of characters of a suffix that a temporary file keeps, so that its name isn't too long."""


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free
