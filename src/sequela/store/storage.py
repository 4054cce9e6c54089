"""The operations that a place for objects offers: a local folder, or a remote file system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from sequela.core.progress import Progress
from sequela.store.address import Address, Kind
from sequela.store.damage import Damage
from sequela.store.description import Description

STORE_DOCUMENT = "store.json"
"""The document at the top of a store that has its format version."""

OBJECTS, TEMPORARY, DAMAGED, LOCKS, RUNS, SIGNS = (
    "objects",
    "temporary",
    "damaged",
    "locks",
    "runs",
    "signs",
)
"""The folders of a store."""


@dataclass(frozen=True)
class Draft:
    """A local folder in which an object is written before it is committed.

    Args:
        root: The folder in which the description will be.
        folder: The name of the folder in it that has the files.
        location: The store or cache that it is in, for messages.
    """

    root: Path
    folder: str
    location: str

    @property
    def files(self) -> Path:
        """The folder for the files."""
        return self.root / self.folder


@dataclass(frozen=True)
class Remnant:
    """The rest of an interrupted write or of a damaged object, which no reader uses.

    Args:
        name: Its path within the store.
        size: Its size in bytes.
    """

    name: str
    size: int


class Storage(Protocol):
    """A place for objects. All methods raise `StoreError` if it can't be read or written."""

    @property
    def location(self) -> str:
        """The place as messages show it."""
        ...

    def check(self) -> None:
        """Checks that it can be read and isn't of a newer format; it need not exist."""
        ...

    def has(self, address: Address) -> bool:
        """Returns whether the object is there; doesn't read it."""
        ...

    def addresses(self, kind: Kind) -> list[Address]:
        """Returns the addresses of a kind, in order; some may have no object, only parts of one."""
        ...

    def document_of(self, address: Address) -> bytes | None:
        """Returns the description of an object as it is stored; None if there is no object."""
        ...

    def open_file(self, description: Description, name: str) -> BinaryIO:
        """Opens a file of an object."""
        ...

    def draft(self) -> AbstractContextManager[Draft]:
        """Creates a folder for a new object, which is removed at the end of the block unless committed."""
        ...

    def commit(self, draft: Draft, address: Address, document: bytes) -> bool:
        """Makes a draft the object of an address; returns False, and drops it, if there is one already."""
        ...

    def fetched(self, description: Description, document: bytes) -> tuple[Path, list[Damage]]:
        """Returns a local folder with the files of an object, and what is damaged in it."""
        ...

    def set_aside(self, address: Address) -> str | None:
        """Moves an object to where readers don't look; returns the place, or None if that isn't possible."""
        ...

    def remove(self, address: Address) -> None:
        """Removes an object; does nothing if there is none."""
        ...

    def read(self, name: str) -> bytes | None:
        """Returns a document of the store by its path; None if there is none."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Writes a document of the store, completely or not at all."""
        ...

    def delete(self, name: str) -> None:
        """Removes a document of the store; does nothing if there is none."""
        ...

    def written(self, name: str) -> datetime | None:
        """Returns when a document was written, by the clock of the place; None if that doesn't say."""
        ...

    def now(self) -> datetime:
        """Returns the time by the clock of the place; by that of this machine if the place has none."""
        ...

    def names(self, folder: str) -> list[str]:
        """Returns the names in a folder of the store, in order."""
        ...

    def locked(self, name: str, what: str, progress: Progress) -> AbstractContextManager[None]:
        """Holds the lock of a name in a block."""
        ...

    def claimed(self, name: str, what: str) -> AbstractContextManager[None]:
        """Holds the lock of a name in a block, or raises a `HeldElsewhereError` at once."""
        ...

    def remnants(self) -> Iterator[Remnant]:
        """Yields what interrupted writes and damaged objects left and nobody is at work on."""
        ...

    def clear(self, remnant: Remnant) -> None:
        """Removes a remnant."""
        ...
