"""The objects of a store with their descriptions."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sequela.core.errors import IntegrityError
from sequela.store.address import Address, Kind
from sequela.store.description import Description, read_description
from sequela.store.errors import NewerStoreError
from sequela.store.storage import Storage


@dataclass(frozen=True)
class Entry:
    """An object of a store.

    Args:
        address: Its address.
        description: Its description; None if it is damaged or of a newer format.
        problem: The reason why there is no description; empty if there is one.
        is_newer: Whether the object was written by a later version of Sequela.
    """

    address: Address
    description: Description | None
    problem: str = ""
    is_newer: bool = False

    @property
    def size(self) -> int:
        """The size of its files in bytes; 0 if it isn't known."""
        return 0 if self.description is None else self.description.size


def entries_of(storage: Storage, kinds: Collection[Kind] = tuple(Kind)) -> Iterator[Entry]:
    """Yields the objects of some kinds, in order; reads only their descriptions."""
    for kind in Kind:
        if kind in kinds:
            for address in storage.addresses(kind):
                document = storage.document_of(address)
                if document is not None:
                    yield _entry(address, document)


def _entry(address: Address, document: bytes) -> Entry:
    try:
        return Entry(address, read_description(document, address))
    except NewerStoreError as error:
        return Entry(address, None, error.message, is_newer=True)
    except IntegrityError as error:
        return Entry(address, None, error.message)
