"""The errors of a store."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sequela.core.errors import CantWriteError, IntegrityError, TransientError

if TYPE_CHECKING:
    from sequela.store.address import Address
    from sequela.store.damage import Damage

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The errors of a disk, or of a user's part of it, that has no space left."""

_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

ANOTHER_LOCATION = "Set SEQUELA_STORE to another folder or URL."
"""The advice if a location can't be used at all."""


class StoreError(TransientError):
    """A store, or an object in it, that can't be read or written."""


class UnreachableStoreError(StoreError):
    """A remote store that doesn't answer."""


class StoreFullError(StoreError):
    """A disk that became full; the object that was being written is undone. Trying again fills it again."""

    comes_back = True


class ForbiddenStoreError(StoreError):
    """A store that this user may not read or write, or that is on a read-only disk."""

    comes_back = True


class MissingObjectError(StoreError):
    """An object that is not in the store.

    Args:
        address: The object.
        location: The store.
    """

    def __init__(self, address: Address, location: str) -> None:
        super().__init__(f"The store {location} has no object {address}.")
        self.address = address


class NewerStoreError(StoreError):
    """A store or object whose format is newer than this version of Sequela can read."""

    def __init__(self, where: str, version: int, known: int) -> None:
        super().__init__(
            f"{where} has the format version {version}; this version of Sequela reads up to {known}.",
            hint="Update Sequela, or set SEQUELA_STORE to another folder or URL.",
        )


class DamagedObjectError(IntegrityError):
    """An object whose files are not those that were written. It was set aside: make it again.

    Args:
        address: The object.
        damages: The files and what is wrong with them.
        aside: The place where the object is now; None if it couldn't be moved.
    """

    def __init__(self, address: Address, damages: Sequence[Damage], aside: str | None) -> None:
        found = "; ".join(map(str, damages))
        super().__init__(
            f"The object {address} is damaged: {found}.",
            hint=f"It was set aside to {aside} and can be computed again."
            if aside
            else "It could not be set aside, since the store can't be written to.",
        )
        self.address = address
        self.damages = tuple(damages)
        self.aside = aside


def is_full(error: BaseException) -> bool:
    """Returns whether an error says that the disk is full; compiled writers say it only in the message."""
    if isinstance(error, CantWriteError) and error.__cause__ is not None:
        return is_full(error.__cause__)
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in FULL
    return any(f"(os error {number})" in str(error) for number in FULL)


def full_disk(location: str) -> StoreFullError:
    """Returns the error for a disk without space."""
    return StoreFullError(
        f"The disk of the store {location} is full; the object that was being written is undone.",
        hint="Free some space (`sequela store prune` shows how), then start again.",
    )


@contextmanager
def in_words(location: str, doing: str) -> Iterator[None]:
    """Converts the errors of the system in a block to those of a store.

    Args:
        location: The store.
        doing: What can't be done if the block fails, such as `read` or `write to`.

    Raises:
        StoreError: The block raised an `OSError`.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise full_disk(location) from error
        reason = error.strerror or str(error) or type(error).__name__
        where = f" ({error.filename})" if error.filename else ""
        hint = (
            "Ask for the permission, or set SEQUELA_STORE to another folder or URL."
            if error.errno in _NOT_ALLOWED
            else ANOTHER_LOCATION
        )
        kind = ForbiddenStoreError if error.errno in _NOT_ALLOWED else StoreError
        raise kind(f"Can't {doing} the store {location}: {reason}{where}.", hint=hint) from error
