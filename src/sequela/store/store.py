"""The store: objects that studies share, each a folder of files under the address of its content."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sequela.core.errors import IntegrityError
from sequela.core.progress import SILENT, Progress
from sequela.store import pruning, registrations, signs
from sequela.store.address import Address, Kind
from sequela.store.damage import Damage, damages_of
from sequela.store.description import DESCRIPTION, Description, describe, read_description
from sequela.store.entries import Entry, entries_of
from sequela.store.errors import (
    DamagedObjectError,
    MissingObjectError,
    full_disk,
    is_full,
)
from sequela.store.pruning import Removal
from sequela.store.registrations import Registration
from sequela.store.signs import Sign
from sequela.store.storage import Storage

_LOG = logging.getLogger(__name__)

_READS = 3
"""The number of times an object is read that others replace at the same time."""


@dataclass(frozen=True)
class Verification:
    """The result of the verification of one object.

    Args:
        address: The object.
        size: The size of its files in bytes; 0 if its description is damaged.
        damages: The damaged files; empty if the object is intact.
        aside: The place to which a damaged object was moved; None if it is still there.
        newer: The reason why it was not verified, if a later version of Sequela wrote it.
    """

    address: Address
    size: int
    damages: tuple[Damage, ...] = ()
    aside: str | None = None
    newer: str = ""


class Store:
    """A store of objects. `open_store` opens one.

    An object is made like this, and read with `fetch` ever after:

        address = Address.of(Kind.STATISTICS, about)
        with store.locked(address, "the statistics of layer 3", progress):
            if not store.has(address):
                with store.writing(address, about) as folder:
                    save_tensors(folder / "layer_3.safetensors", tensors)

    A store has no state but its location: it can be pickled, and opened in several processes at once.

    Args:
        storage: The place for the objects.
        reopen: A function, with its arguments, that opens the store again in another process.
    """

    def __init__(
        self, storage: Storage, reopen: tuple[Callable[..., Store], tuple[Any, ...]] | None = None
    ) -> None:
        self._storage = storage
        self._reopen = reopen

    def __reduce__(self) -> tuple[Callable[..., Store], tuple[Any, ...]]:
        return self._reopen or (Store, (self._storage,))

    def __repr__(self) -> str:
        return f"Store({self.location!r})"

    @property
    def location(self) -> str:
        """The folder or URL, without a password."""
        return self._storage.location

    def has(self, address: Address) -> bool:
        """Returns whether there is an object. Its files are verified when it is fetched.

        Raises:
            StoreError: The store can't be read.
        """
        return self._storage.has(address)

    @contextmanager
    def writing(self, address: Address, about: Mapping[str, Any]) -> Iterator[Path]:
        """Yields an empty local folder; at the end of the block its files become the object.

        After an exception in the block nothing is left. If there is an object of this address at the end of
        the block, made by another process or before, that one stays and the new one is dropped; a warning
        says so if they differ. The files are read-only from then on.

        Args:
            address: The address.
            about: What the key was computed from, as a JSON object; it is stored for people to read.

        Raises:
            StoreFullError: The disk became full, in the block or afterwards.
            StoreError: The store can't be written to.
            BadInputError: `about` is not JSON, or the folder has something that is no plain file or folder.
        """
        with self._storage.draft() as draft:
            try:
                yield draft.files
                document = describe(address, about, draft.root, draft.folder)
            except Exception as error:
                if is_full(error) and _is_in(draft.root, error):
                    raise full_disk(draft.location) from error
                raise
            if not self._storage.commit(draft, address, document):
                self._compare(read_description(document, address))

    def fetch(self, address: Address) -> Path:
        """Returns a local folder with the files of an object, after it has verified each of them.

        The files must not be changed. Those of a remote store are copied to the cache first.

        Raises:
            MissingObjectError: There is no such object.
            DamagedObjectError: A file is damaged. The object was set aside: `has` is False from now on, and
                the caller makes it again.
            StoreError: The store can't be read.
        """
        for _ in range(_READS):
            document = self._storage.document_of(address)
            if document is None:
                raise MissingObjectError(address, self.location)
            path, damages = self._read(address, document)
            if not damages:
                return path
            if self._storage.document_of(address) == document:
                break  # otherwise another process has removed or replaced it while it was read
        raise DamagedObjectError(address, damages, self._storage.set_aside(address))

    def describe(self, address: Address) -> Description:
        """Returns the description of an object, without reading its files.

        Raises:
            MissingObjectError: There is no such object.
            IntegrityError: The description is damaged; `fetch` sets the object aside.
        """
        document = self._storage.document_of(address)
        if document is None:
            raise MissingObjectError(address, self.location)
        return read_description(document, address)

    def discard(self, address: Address) -> None:
        """Removes an object; does nothing if there is none.

        Raises:
            StoreError: The store can't be written to.
        """
        self._storage.remove(address)

    def locked(
        self, address: Address, what: str, progress: Progress = SILENT
    ) -> AbstractContextManager[None]:
        """Holds the lock of an address in a block, so that one process makes an object and the others wait.

        A waiting process says who holds the lock since when. Locks of processes that have ended are free at
        once in a local store; in a remote one, they are taken over a minute after they were last renewed. The
        lock is not reentrant. Reading and writing work without it: then an object may be made twice.

        Args:
            address: The address.
            what: What is being made, such as `the statistics of layer 3`.
            progress: Receives a line when the process begins to wait.

        Raises:
            StoreError: The store can't be written to.
        """
        return self._storage.locked(f"{address.kind}-{address.key}", what, progress)

    def claimed(self, address: Address, what: str) -> AbstractContextManager[None]:
        """Holds the lock of an address in a block, as `locked` does, but never waits for it.

        Whoever doesn't get a lease of a remote store tries again with the same store: only who has observed
        for a minute that a lease isn't renewed takes it over.

        Args:
            address: The address.
            what: What is being made, such as `the statistics of layer 3`.

        Raises:
            HeldElsewhereError: Another process, or another thread of this one, holds the lock.
            StoreError: The store can't be written to.
        """
        return self._storage.claimed(f"{address.kind}-{address.key}", what)

    def entries(self, kinds: Collection[Kind] = tuple(Kind)) -> Iterator[Entry]:
        """Yields the objects of some kinds, ordered by kind and key; reads only their descriptions.

        Raises:
            StoreError: The store can't be read.
        """
        return entries_of(self._storage, kinds)

    def verify(
        self, kinds: Collection[Kind] = tuple(Kind), set_aside: bool = False
    ) -> Iterator[Verification]:
        """Reads all files of all objects of some kinds; yields the result for each object.

        Args:
            kinds: The kinds.
            set_aside: Moves damaged objects to the folder `damaged`, so that they are computed again.

        Raises:
            StoreError: The store can't be read.
        """
        for entry in self.entries(kinds):
            if entry.is_newer:
                yield Verification(entry.address, 0, newer=entry.problem)
                continue
            damages = self._damages(entry)
            aside = self._storage.set_aside(entry.address) if damages and set_aside else None
            yield Verification(entry.address, entry.size, tuple(damages), aside)

    def register(self, run_id: str, folder: Path, addresses: Iterable[Address]) -> None:
        """Records that a run uses objects, so that `prune(unused=True)` keeps them.

        Objects of earlier registrations of the run stay registered. An object need not be there yet: a run
        that registers what it is about to make is safe from a `prune` at that moment.

        Args:
            run_id: The name of the run, unique in the store, such as `run_id_of(folder)`.
            folder: The folder of the run. Once it no longer exists, the run no longer counts.
            addresses: The objects.

        Raises:
            BadInputError: The name of the run can't be the name of a file.
            IntegrityError: The stored registration of the run is damaged.
            StoreError: The store can't be written to.
        """
        registrations.register(self._storage, run_id, folder, addresses)

    def unregister(self, run_id: str) -> None:
        """Records that a run no longer uses any objects.

        Raises:
            StoreError: The store can't be written to.
        """
        registrations.unregister(self._storage, run_id)

    def registrations(self) -> Iterator[Registration]:
        """Yields the registered runs.

        Raises:
            IntegrityError: A registration is damaged.
        """
        return registrations.registrations(self._storage)

    def signed(self, name: str) -> AbstractContextManager[Sign]:
        """Leaves a sign in the store for a block, by which other processes know that they see this store.

        Args:
            name: A name for it, such as `run_id_of(folder)`; an earlier sign of the name is replaced.

        Raises:
            StoreError: The store can't be written to.
        """
        return signs.signed(self._storage, name)

    def sees(self, sign: Sign) -> bool:
        """Returns whether a sign is in the store.

        Raises:
            StoreError: The store can't be read.
        """
        return signs.sees(self._storage, sign)

    def prune(
        self, older_than: timedelta | None = None, unused: bool = False, dry_run: bool = False
    ) -> Iterator[Removal]:
        """Removes objects, and yields what it removes; an iteration that is stopped keeps the rest.

        Args:
            older_than: Removes only objects that were neither made nor registered by a run for so long. Runs
                of other machines that registered longer ago no longer count.
            unused: Removes only objects that no registered run uses.
            dry_run: Yields the same, and removes nothing.

        Raises:
            BadInputError: Neither `older_than` nor `unused` was given.
            IntegrityError: A registration is damaged, so that nobody knows what its run uses.
            StoreError: The store can't be read or written to.
        """
        return pruning.prune(self._storage, older_than, unused, dry_run)

    def _read(self, address: Address, document: bytes) -> tuple[Path, list[Damage]]:
        try:
            description = read_description(document, address)
        except IntegrityError as error:
            return Path(), [_damaged_description(error.message)]
        return self._storage.fetched(description, document)

    def _damages(self, entry: Entry) -> list[Damage]:
        description = entry.description
        if description is None:
            return [_damaged_description(entry.problem)]
        damages = damages_of(description.files, lambda name: self._storage.open_file(description, name))
        gone = damages and not self._storage.has(entry.address)  # removed by another process meanwhile
        return [] if gone else damages

    def _compare(self, dropped: Description) -> None:
        document = self._storage.document_of(dropped.address)
        if document is None:
            return
        kept = read_description(document, dropped.address)
        if kept.content != dropped.content:
            _LOG.warning(
                "the object %s was made twice, with different content; the first one (of %s) is kept",
                dropped.address,
                kept.created,
            )


def _is_in(folder: Path, error: Exception) -> bool:
    """Returns whether an error is about a file in a folder, or doesn't say about which file it is."""
    name = getattr(error, "filename", None)
    return not isinstance(name, str) or folder in Path(name).parents


def _damaged_description(problem: str) -> Damage:
    return Damage(DESCRIPTION, "an intact description", f"damaged ({problem.rstrip('.')})")
