"""A store on a remote file system, with verified copies in the local cache.

The files of an object are uploaded first, each upload to a folder of its own, and the description, which
names the folder, last. A document in `writing/` says which process is at work on an upload.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from sequela.core.errors import BadInputError, IntegrityError, SequelaError
from sequela.core.holders import Holder, holder_in
from sequela.core.locks import HeldElsewhereError
from sequela.core.progress import Progress
from sequela.store.address import Address, Kind
from sequela.store.damage import Damage, damages_of
from sequela.store.description import DESCRIPTION, Description, read_description
from sequela.store.documents import checked_content, with_digest
from sequela.store.errors import NewerStoreError, StoreError
from sequela.store.leases import Clock, Lease, LeaseTimes, renewed, waiting_lease
from sequela.store.local import LocalStorage
from sequela.store.remote_files import RemoteFiles
from sequela.store.storage import DAMAGED, LOCKS, OBJECTS, STORE_DOCUMENT, TEMPORARY, Draft, Remnant

WRITING = "writing"
"""The folder of a remote store that has a document for each upload that is going on."""

_DOWNLOADS = 2
"""The number of times a damaged file is downloaded before it counts as such: the transfer may be at fault."""


class RemoteStorage:
    """A store on a remote file system.

    Args:
        files: The remote files.
        copies: The local copies of objects that were read or written.
        times: The times of leases.
        clock: The clock of this process.
    """

    def __init__(
        self,
        files: RemoteFiles,
        copies: LocalStorage,
        times: LeaseTimes | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._files = files
        self._copies = copies
        self._times = times or LeaseTimes()
        self._clock = clock
        self._observed: dict[str, Lease] = {}

    @property
    def location(self) -> str:
        """The URL, without a password."""
        return self._files.location

    def check(self) -> None:
        """Checks that the store answers and isn't of a newer format."""
        document = self._files.read(STORE_DOCUMENT)
        if document is not None:
            checked_content(document, f"{self.location}/{STORE_DOCUMENT}")

    def has(self, address: Address) -> bool:
        """Returns whether the object is there."""
        return self._files.has(_description_of(address))

    def addresses(self, kind: Kind) -> list[Address]:
        """Returns the keys of a kind, in order; an upload that goes on has no description yet."""
        return list(self._keys(kind))

    def document_of(self, address: Address) -> bytes | None:
        """Returns the description of an object as it is stored; None if there is no object."""
        return self._files.read(_description_of(address))

    def open_file(self, description: Description, name: str) -> BinaryIO:
        """Opens a file of an object, without a local copy."""
        return self._files.open(f"{_files_of(description)}/{name}")

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """Creates a folder in the local cache for a new object."""
        with self._copies.draft(secrets.token_hex(8)) as draft:
            yield draft

    def commit(self, draft: Draft, address: Address, document: bytes) -> bool:
        """Uploads a draft and then its description; returns False if there is an object already."""
        if self.has(address):
            return False
        if self._files.read(STORE_DOCUMENT) is None:
            self._files.write(STORE_DOCUMENT, with_digest({"content": "objects of Sequela"}))
        description = read_description(document, address)
        marker = f"{WRITING}/{draft.folder}.json"
        self._files.write(marker, Holder.here().document())
        try:
            for file in description.files:
                self._files.upload(draft.files / file.name, f"{_files_of(description)}/{file.name}")
            won = not self.has(address)
            if won:
                self._files.write(_description_of(address), document)
            else:
                self._remove_files(_files_of(description))
        except BaseException:
            with suppress(
                SequelaError
            ):  # it is removed by `prune` otherwise; the first error is the one to see
                self._remove_files(_files_of(description))
                self._files.remove(marker)
            raise
        self._files.remove(marker)
        if won:
            self._copies.commit(draft, address, document)
        return won

    def fetched(self, description: Description, document: bytes) -> tuple[Path, list[Damage]]:
        """Returns the local copy of an object, downloaded if there is none, and what is damaged."""
        address = description.address
        if self._copies.document_of(address) == document:
            path, damages = self._copies.fetched(description, document)
            if not damages:
                return path, []
        self._copies.remove(address)
        for _ in range(_DOWNLOADS):
            with self._copies.draft(description.folder) as draft:
                damages = self._download(description, draft)
                if not damages:
                    # Another process may have downloaded it at the same time; both copies are the same.
                    self._copies.commit(draft, address, document)
                    return self._copies.fetched(description, document)
        return self._copies.folder, damages

    def set_aside(self, address: Address) -> str | None:
        """Moves an object to the folder `damaged`; returns the place, or None if that isn't possible."""
        aside = f"{DAMAGED}/{address.kind}-{address.key}-{secrets.token_hex(4)}"
        try:
            document = self._files.read(_description_of(address)) or b""
            self._files.write(f"{aside}/{DESCRIPTION}", document)
            self._files.remove(_description_of(address))
        except StoreError:
            return None
        self._copies.remove(address)
        return f"{self.location}/{aside} (its files stay where they are until `sequela store prune`)"

    def remove(self, address: Address) -> None:
        """Removes the description of an object, then its files and its local copy."""
        self._files.remove(_description_of(address))
        self._remove_files(f"{OBJECTS}/{address}")
        self._copies.remove(address)

    def read(self, name: str) -> bytes | None:
        """Returns a document of the store by its path; None if there is none."""
        return self._files.read(name)

    def write(self, name: str, data: bytes) -> None:
        """Writes a document of the store, completely or not at all."""
        self._files.write(name, data)

    def delete(self, name: str) -> None:
        """Removes a document of the store; does nothing if there is none."""
        self._files.remove(name)

    def written(self, name: str) -> datetime | None:
        """Returns when a document was written, by the clock of the server; None if it doesn't say."""
        return self._files.written(name)

    def now(self) -> datetime:
        """Returns the time by the clock of the server; by that of this machine if it doesn't say."""
        probe = f"{TEMPORARY}/{secrets.token_hex(8)}"
        try:
            self._files.write(probe, b"")
            found = self._files.written(probe)
            self._files.remove(probe)
        except StoreError:  # it can only be read
            found = None
        return found or datetime.now(timezone.utc)

    def names(self, folder: str) -> list[str]:
        """Returns the names in a folder of the store, in order."""
        return self._files.names(folder)

    def locked(self, name: str, what: str, progress: Progress) -> AbstractContextManager[None]:
        """Holds the lease of a name in a block."""
        return waiting_lease(self._files, f"{LOCKS}/{name}.json", what, progress, self._times, self._clock)

    @contextmanager
    def claimed(self, name: str, what: str) -> Iterator[None]:
        """Holds the lease of a name in a block, unless another process has it."""
        document = f"{LOCKS}/{name}.json"
        # An observer of a lease takes it over after some time, so the same one looks again.
        lease = self._observed.pop(name, None) or Lease(self._files, document, self._times, self._clock)
        if not lease.acquire():
            self._observed[name] = lease
            raise HeldElsewhereError(lease.holder(), f"making {what}")
        with renewed(lease, self._times, what):
            yield

    def remnants(self) -> Iterator[Remnant]:
        """Yields uploads that no description names, unless a process may be at work on them; damaged objects.

        Another machine's process can't be checked, so the uploads that it has announced stay.
        """
        for folder in (TEMPORARY, DAMAGED):
            for name, size in self._files.files_below(folder).items():
                yield Remnant(name, size)
        for kind in Kind:
            for address in self._keys(kind):
                yield from self._unnamed_uploads(address)
        yield from self._abandoned_markers()
        for kind in Kind:
            for address in self._copies.addresses(kind):
                if not self.has(address):
                    yield Remnant(f"{_COPY}{address}", _size_of_copy(self._copies, address))

    def clear(self, remnant: Remnant) -> None:
        """Removes a remnant."""
        if remnant.name.startswith(_COPY):
            self._copies.remove(Address.parse(remnant.name.removeprefix(_COPY)))
        else:
            self._files.remove(remnant.name)
            self._remove_empty_folders([remnant.name], remnant.name.partition("/")[0])

    def _unnamed_uploads(self, address: Address) -> Iterator[Remnant]:
        # In this order, so that an upload that is committed in between is never taken for an unnamed one.
        found = self._files.files_below(f"{OBJECTS}/{address}")
        uploads = {name.split("/")[3] for name in found if name != _description_of(address)}
        uploads = {upload for upload in uploads if not self._is_going_on(upload)}
        document = self.document_of(address)
        if document is not None:
            try:
                uploads -= {read_description(document, address).folder}
            except (IntegrityError, NewerStoreError):
                return  # reported and set aside by whoever reads the object
        for name, size in found.items():
            if name != _description_of(address) and name.split("/")[3] in uploads:
                yield Remnant(name, size)

    def _abandoned_markers(self) -> Iterator[Remnant]:
        for name in self._files.names(WRITING):
            if not self._is_going_on(name.removesuffix(".json")):
                yield Remnant(f"{WRITING}/{name}", 0)

    def _is_going_on(self, upload: str) -> bool:
        document = self._files.read(f"{WRITING}/{upload}.json")
        holder = None if document is None else holder_in(document)
        if holder is None:
            return document is not None
        return holder.host != socket.gethostname() or _is_alive(holder.pid)

    def _download(self, description: Description, draft: Draft) -> list[Damage]:
        for file in description.files:
            target = draft.files / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # found by the verification
                self._files.download(f"{_files_of(description)}/{file.name}", target)
        return damages_of(description.files, lambda name: (draft.files / name).open("rb"))

    def _keys(self, kind: Kind) -> Iterator[Address]:
        for name in self._files.names(f"{OBJECTS}/{kind}"):
            with suppress(BadInputError):
                yield Address(kind, name)

    def _remove_files(self, folder: str) -> None:
        names = list(self._files.files_below(folder))
        for name in names:
            self._files.remove(name)
        self._remove_empty_folders(names, folder)
        self._files.remove_folder(folder)

    def _remove_empty_folders(self, names: list[str], top: str) -> None:
        above = {str(parent) for name in names for parent in Path(name).parents}
        for folder in sorted(above, key=len, reverse=True):
            if folder.startswith(f"{top}/") and folder.count("/") > 1:
                self._files.remove_folder(folder)


_COPY = "copy of "
"""The beginning of the name of a remnant that is a local copy."""


def _description_of(address: Address) -> str:
    return f"{OBJECTS}/{address}/{DESCRIPTION}"


def _files_of(description: Description) -> str:
    return f"{OBJECTS}/{description.address}/{description.folder}"


def _size_of_copy(copies: LocalStorage, address: Address) -> int:
    document = copies.document_of(address)
    try:
        return read_description(document, address).size if document else 0
    except (IntegrityError, NewerStoreError):
        return 0


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
