"""A store in a folder.

An object is written to a folder in `temporary/`, synced to the disk, and renamed to its place: it is there
completely or not at all, also after a power cut. Of two that are written at once the first one stays.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from sequela.core.errors import BadInputError
from sequela.core.locks import FileLock, HeldElsewhereError, wait_for
from sequela.core.progress import Progress
from sequela.core.temporary_files import make_folder, sync_file, sync_folder, sync_tree
from sequela.store.address import Address, Kind
from sequela.store.damage import Damage, damages_of
from sequela.store.description import DESCRIPTION, Description
from sequela.store.documents import checked_content, with_digest
from sequela.store.errors import ANOTHER_LOCATION, in_words
from sequela.store.storage import DAMAGED, LOCKS, OBJECTS, STORE_DOCUMENT, TEMPORARY, Draft, Remnant

_TAKEN = frozenset({errno.ENOTEMPTY, errno.EEXIST})

_READ_ONLY = 0o222
"""The permissions that the files of an object lose: they never change."""


class LocalStorage:
    """A store in a folder, which need not exist yet.

    Args:
        folder: The folder, as an absolute path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def location(self) -> str:
        """The folder."""
        return str(self.folder)

    def check(self) -> None:
        """Checks that the folder can be read and isn't of a newer format."""
        with in_words(self.location, "open"):
            there = next(path for path in (self.folder, *self.folder.parents) if path.exists())
            if not there.is_dir():
                which = "" if there == self.folder else f" in {there}, which is"
                raise BadInputError(
                    f"The store {self.location} is{which} a file, not a folder.", hint=ANOTHER_LOCATION
                )
            if there == self.folder:
                os.listdir(self.folder)  # noqa: PTH208 - Path.iterdir would be lazy
        document = self.read(STORE_DOCUMENT)
        if document is not None:
            checked_content(document, str(self.folder / STORE_DOCUMENT))

    def has(self, address: Address) -> bool:
        """Returns whether the object is there."""
        with in_words(self.location, "read"):
            return (self._place(address) / DESCRIPTION).is_file()

    def addresses(self, kind: Kind) -> list[Address]:
        """Returns the objects of a kind, in order; what else is in their folder is ignored."""
        found = []
        for name in self.names(f"{OBJECTS}/{kind}"):
            with suppress(BadInputError):
                found.append(Address(kind, name))
        return found

    def document_of(self, address: Address) -> bytes | None:
        """Returns the description of an object as it is stored; None if there is no object."""
        return self.read(f"{OBJECTS}/{address}/{DESCRIPTION}")

    def open_file(self, description: Description, name: str) -> BinaryIO:
        """Opens a file of an object."""
        return self._files(description).joinpath(name).open("rb")

    @contextmanager
    def draft(self, folder: str = "files") -> Iterator[Draft]:
        """Creates a folder for a new object, which is removed at the end of the block unless committed.

        A lock shows other processes that this one is alive; what is left by a process that was killed is
        removed by the next one that opens the store.
        """
        with in_words(self.location, "write to"):
            make_folder(self.folder / TEMPORARY)
            self._write_store_document()
            root, lock = self._locked_root()
        try:
            with in_words(self.location, "write to"):
                draft = Draft(root, folder, self.location)
                draft.files.mkdir(parents=True)
            yield draft
        finally:
            # Whatever can't be removed now is removed when the store is opened again.
            shutil.rmtree(root, ignore_errors=True)
            with suppress(OSError):
                lock.release()

    def commit(self, draft: Draft, address: Address, document: bytes) -> bool:
        """Renames a draft to the place of its object; returns False if there is one already."""
        place = self._place(address)
        with in_words(self.location, "write to"):
            draft.root.joinpath(DESCRIPTION).write_bytes(document)
            for path in draft.root.rglob("*"):
                if path.is_file():
                    path.chmod(path.stat().st_mode & ~_READ_ONLY)
            sync_tree(draft.root)
            make_folder(place.parent)
            while True:
                try:
                    draft.root.rename(place)
                except OSError as error:
                    if error.errno not in _TAKEN:
                        raise
                    if self.has(address):
                        return False
                    self._move_aside(address)  # a folder that is no object
                else:
                    sync_folder(place.parent)
                    return True

    def fetched(self, description: Description, document: bytes) -> tuple[Path, list[Damage]]:
        """Returns the folder with the files of an object, and what is damaged in it."""
        with in_words(self.location, "read"):
            damages = damages_of(description.files, lambda name: self.open_file(description, name))
        return self._files(description), damages

    def set_aside(self, address: Address) -> str | None:
        """Moves an object to the folder `damaged`; returns the place, or None if that isn't possible."""
        try:
            return self._move_aside(address)
        except OSError:
            return None

    def remove(self, address: Address) -> None:
        """Removes an object; readers see it completely or not at all until then."""
        with in_words(self.location, "write to"):
            if not self._place(address).exists():
                return
            make_folder(self.folder / TEMPORARY)
            root, lock = self._locked_root()
            try:
                with suppress(FileNotFoundError):  # removed by another process at the same time
                    self._place(address).rename(root)
                    sync_folder(self._place(address).parent)
                    shutil.rmtree(root)
            finally:
                shutil.rmtree(root, ignore_errors=True)  # after Ctrl-C in the midst of it
                lock.release()

    def read(self, name: str) -> bytes | None:
        """Returns a document of the store by its path; None if there is none."""
        with in_words(self.location, "read"), suppress(FileNotFoundError, NotADirectoryError):
            return self.folder.joinpath(name).read_bytes()
        return None

    def write(self, name: str, data: bytes) -> None:
        """Writes a document of the store, completely or not at all."""
        with in_words(self.location, "write to"):
            self._write_store_document()
            self._write(self.folder / name, data)

    def delete(self, name: str) -> None:
        """Removes a document of the store; does nothing if there is none."""
        with in_words(self.location, "write to"):
            self.folder.joinpath(name).unlink(missing_ok=True)

    def written(self, name: str) -> datetime | None:
        """Returns when a document was written, by the clock of the file system; None if there is none."""
        with in_words(self.location, "read"), suppress(FileNotFoundError, NotADirectoryError):
            return _in_utc(self.folder.joinpath(name).stat().st_mtime)
        return None

    def now(self) -> datetime:
        """Returns the time by the clock of the file system, which may be that of another machine."""
        probe = self.folder / TEMPORARY / secrets.token_hex(8)
        try:
            probe.touch()
            return _in_utc(probe.stat().st_mtime)
        except OSError:  # there is no store yet, or it can't be written to
            return datetime.now(timezone.utc)
        finally:
            with suppress(OSError):
                probe.unlink()

    def names(self, folder: str) -> list[str]:
        """Returns the names in a folder of the store, in order."""
        with in_words(self.location, "read"), suppress(FileNotFoundError, NotADirectoryError):
            return sorted(path.name for path in self.folder.joinpath(folder).iterdir())
        return []

    @contextmanager
    def locked(self, name: str, what: str, progress: Progress) -> Iterator[None]:
        """Holds the lock of a name in a block."""
        lock = self._lock(name)
        try:
            with in_words(self.location, "write to"):
                make_folder(lock.path.parent)
                wait_for(lock, f"making {what}", progress)
            yield
        finally:
            lock.release()

    @contextmanager
    def claimed(self, name: str, what: str) -> Iterator[None]:
        """Holds the lock of a name in a block, unless another process has it."""
        lock = self._lock(name)
        try:
            with in_words(self.location, "write to"):
                make_folder(lock.path.parent)
                is_free = lock.acquire()
            if not is_free:
                raise HeldElsewhereError(lock.holder(), f"making {what}")
            yield
        finally:
            lock.release()

    def remnants(self) -> Iterator[Remnant]:
        """Yields drafts of processes that have ended, half-removed objects, and damaged ones."""
        for folder in (TEMPORARY, DAMAGED):
            for name in self.names(folder):
                path = self.folder / folder / name
                if path.is_dir() and (folder == DAMAGED or self._is_abandoned(path)):
                    yield Remnant(f"{folder}/{name}", _size(path))

    def clear(self, remnant: Remnant) -> None:
        """Removes a remnant."""
        with in_words(self.location, "write to"):
            shutil.rmtree(self.folder / remnant.name)

    def remove_drafts(self) -> None:
        """Removes the drafts and locks of processes that have ended; those of a read-only store stay."""
        with suppress(OSError):
            for folder in (TEMPORARY, LOCKS):
                for path in self.folder.joinpath(folder).glob("*.lock"):
                    lock = FileLock(path)
                    if lock.acquire():
                        shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                        lock.release()

    def _place(self, address: Address) -> Path:
        return self.folder / OBJECTS / address.kind.value / address.key

    def _lock(self, name: str) -> FileLock:
        return FileLock(self.folder / LOCKS / f"{name}.lock")

    def _files(self, description: Description) -> Path:
        return self._place(description.address) / description.folder

    def _write_store_document(self) -> None:
        if not (self.folder / STORE_DOCUMENT).exists():
            self._write(self.folder / STORE_DOCUMENT, with_digest({"content": "objects of Sequela"}))

    def _write(self, path: Path, data: bytes) -> None:
        """Writes a document, which replaces the one that is there, as an object is written."""
        make_folder(self.folder / TEMPORARY)
        make_folder(path.parent)
        root, lock = self._locked_root()
        try:
            root.mkdir()
            written = root / path.name
            written.write_bytes(data)
            sync_file(written)
            written.replace(path)
            sync_folder(path.parent)
        finally:
            shutil.rmtree(root, ignore_errors=True)
            lock.release()

    def _locked_root(self) -> tuple[Path, FileLock]:
        """Returns the path of a new folder in `temporary`, and its lock, which is held."""
        while True:
            root = self.folder / TEMPORARY / secrets.token_hex(8)
            lock = FileLock(root.with_name(f"{root.name}.lock"))
            if lock.acquire():  # otherwise another process is just checking whether this one is alive
                return root, lock

    def _is_abandoned(self, root: Path) -> bool:
        with suppress(OSError):  # without the permission to lock it, it may be in use
            lock = FileLock(root.with_name(f"{root.name}.lock"))
            if lock.acquire():
                lock.release()
                return True
        return False

    def _move_aside(self, address: Address) -> str:
        aside = self.folder / DAMAGED / f"{address.kind}-{address.key}-{secrets.token_hex(4)}"
        make_folder(aside.parent)
        with suppress(FileNotFoundError):  # moved by another process at the same time
            self._place(address).rename(aside)
            sync_folder(aside.parent)
            sync_folder(self._place(address).parent)
        return str(aside)


def _in_utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
