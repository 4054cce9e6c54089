"""Files of a remote file system (fsspec), with errors in words and a time limit for short requests."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, cast

from sequela.core.damaged_files import first_line
from sequela.core.errors import SequelaError
from sequela.store.errors import ANOTHER_LOCATION, StoreError, UnreachableStoreError, full_disk, is_full
from sequela.store.storage import TEMPORARY
from sequela.store.time_limit import answer_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

T = TypeVar("T")

SECONDS_TO_ANSWER = 7.0
"""The time, in seconds, within which a remote store answers a short request; to open one takes two."""

_MISSING = (FileNotFoundError, NotADirectoryError)


class RemoteFiles:
    """The files below a folder of a remote file system. Names are relative to it, with `/` between parts.

    Args:
        system: The file system.
        root: The folder, as the file system names it.
        location: The folder, as messages show it.
        limit: The time, in seconds, within which a short request is answered.
    """

    def __init__(
        self, system: AbstractFileSystem, root: str, location: str, limit: float = SECONDS_TO_ANSWER
    ) -> None:
        self._system = system
        self._root = root.rstrip("/")
        self.location = location
        self._limit = limit

    def read(self, name: str) -> bytes | None:
        """Returns the content of a small file; None if there is none."""

        def action() -> bytes | None:
            with suppress(*_MISSING):
                return cast(bytes, self._system.cat_file(self._path(name)))
            return None

        return self._within(f"read {name}", action)

    def has(self, name: str) -> bool:
        """Returns whether there is a file. fsspec's own `exists` would also deny it without a connection."""

        def action() -> bool:
            with suppress(*_MISSING):
                self._system.invalidate_cache()
                return bool(self._system.info(self._path(name))["type"] == "file")
            return False

        return self._within(f"look for {name}", action)

    def names(self, folder: str) -> list[str]:
        """Returns the names in a folder, in order; empty if it is missing."""

        def action() -> list[str]:
            with suppress(*_MISSING):
                self._system.invalidate_cache()
                found = self._system.ls(self._path(folder), detail=False)
                return sorted({str(path).rstrip("/").rpartition("/")[2] for path in found})
            return []

        return self._within(f"list {folder}", action)

    def written(self, name: str) -> datetime | None:
        """Returns when a file was written, by the clock of the server; None if it doesn't say."""

        def action() -> datetime | None:
            with suppress(*_MISSING, NotImplementedError, KeyError):
                self._system.invalidate_cache()
                found = self._system.modified(self._path(name))
                if isinstance(found, datetime):
                    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
            return None

        return self._within(f"look for {name}", action)

    def write(self, name: str, data: bytes) -> None:
        """Writes a small file completely or not at all: to `temporary` at first, then moved to its place."""
        temporary = f"{TEMPORARY}/{secrets.token_hex(8)}"

        def action() -> None:
            self._in_new_folder(temporary, lambda: self._system.pipe_file(self._path(temporary), data))
            self._in_new_folder(name, lambda: self._system.mv(self._path(temporary), self._path(name)))

        try:
            self._within(f"write {name}", action)
        except FileNotFoundError:  # another process has just removed what looked like a leftover
            self._within(f"write {name}", action)

    def remove(self, name: str) -> None:
        """Removes a file; does nothing if there is none."""

        def action() -> None:
            with suppress(*_MISSING):
                self._system.rm_file(self._path(name))

        self._within(f"remove {name}", action)

    def remove_folder(self, folder: str) -> None:
        """Removes a folder if it is empty. Many remote file systems have no folders, only names."""

        def action() -> None:
            with suppress(OSError, NotImplementedError, ValueError):
                self._system.rmdir(self._path(folder))

        self._within(f"remove {folder}", action)

    def files_below(self, folder: str) -> dict[str, int]:
        """Returns the files in a folder and below, by name, with their sizes in bytes."""

        def action(inner: str) -> list[dict[str, Any]]:
            with suppress(*_MISSING):
                self._system.invalidate_cache()
                return list(self._system.ls(self._path(inner), detail=True))
            return []

        found: dict[str, int] = {}
        folders = [folder]
        while folders:
            inner = folders.pop()
            for one in self._within(f"list {inner}", lambda inner=inner: action(inner)):  # type: ignore[misc]
                base = str(one["name"]).rstrip("/").rpartition("/")[2]
                name = f"{inner}/{base}"
                if one["type"] == "directory":
                    folders.append(name)
                elif name != inner:
                    found[name] = int(one.get("size") or 0)
        return found

    def upload(self, source: Path, name: str) -> None:
        """Writes a file from a local one, without a time limit."""
        self._in_words(
            f"write {name}",
            lambda: self._in_new_folder(name, lambda: self._system.put_file(str(source), self._path(name))),
        )

    def download(self, name: str, target: Path) -> None:
        """Copies a file to a local one, without a time limit.

        Raises:
            FileNotFoundError: There is no such file.
        """
        self._in_words(f"read {name}", lambda: self._system.get_file(self._path(name), str(target)))

    def open(self, name: str) -> BinaryIO:
        """Opens a file for reading.

        Raises:
            FileNotFoundError: There is no such file.
        """
        return cast(
            BinaryIO, self._in_words(f"read {name}", lambda: self._system.open(self._path(name), "rb"))
        )

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _in_new_folder(self, name: str, write: Callable[[], object]) -> None:
        """Writes a file; creates its folder, where the file system has folders, if that fails."""
        try:
            write()
        except OSError:
            self._system.makedirs(self._path(name.rpartition("/")[0]), exist_ok=True)
            write()

    def _within(self, doing: str, action: Callable[[], T]) -> T:
        return self._in_words(doing, lambda: answer_of(action, self._limit, self.location, doing))

    def _in_words(self, doing: str, action: Callable[[], T]) -> T:
        try:
            return action()
        except (SequelaError, *_MISSING):
            raise
        except NotImplementedError as error:
            raise StoreError(
                f"The store {self.location} can't be written to: its protocol only reads (tried to {doing}).",
                hint=ANOTHER_LOCATION,
            ) from error
        except PermissionError as error:
            raise StoreError(
                f"The store {self.location} refuses this user (tried to {doing}): {first_line(error)}.",
                hint="Check the credentials and the permissions.",
            ) from error
        except Exception as error:
            if is_full(error):
                raise full_disk(self.location) from error
            raise UnreachableStoreError(
                f"The store {self.location} can't be used (tried to {doing}): {type(error).__name__}: "
                f"{first_line(error)}.",
                hint=f"Check the address, the credentials and the network. {ANOTHER_LOCATION}",
            ) from error
