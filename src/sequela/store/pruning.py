"""Removal of objects that are old or that no run uses, and of what interrupted writes left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal

from sequela.core.errors import BadInputError
from sequela.store.address import Address
from sequela.store.description import DESCRIPTION
from sequela.store.entries import Entry, entries_of
from sequela.store.registrations import Registration, registrations, unregister
from sequela.store.storage import OBJECTS, Storage

Reason = Literal["old", "unused", "remnant", "ended run"]


@dataclass(frozen=True)
class Removal:
    """Something that was removed, or would be.

    Args:
        name: The address of the object, or the path within the store.
        size: Its size in bytes.
        reason: `old` or `unused` for objects, `remnant` for what interrupted writes and damaged objects left,
            `ended run` for the registration of a run whose folder is gone.
    """

    name: str
    size: int
    reason: Reason


def prune(
    storage: Storage, older_than: timedelta | None, unused: bool, dry_run: bool, now: datetime | None = None
) -> Iterator[Removal]:
    """Yields what it removes, one by one; whoever stops keeps the rest.

    Args:
        storage: The storage.
        older_than: Removes only objects that were neither made nor used by a registered run for so long. Runs
            of other machines that registered longer ago no longer count as users.
        unused: Removes only objects that no run uses.
        dry_run: Removes nothing.
        now: The time; the present one, by the clock of the place, by default.

    Raises:
        BadInputError: Neither `older_than` nor `unused` was given, or the age is negative.
        IntegrityError: The document of a run is damaged, so that nobody knows what it uses.
    """
    if older_than is None and not unused:
        raise BadInputError("It isn't stated what to remove.", hint="State an age, or unused objects only.")
    if older_than is not None and older_than < timedelta(0):
        raise BadInputError(f"The age {older_than} is negative.")
    return _removals(storage, older_than, unused, dry_run, now or storage.now())


def _removals(
    storage: Storage, older_than: timedelta | None, unused: bool, dry_run: bool, now: datetime
) -> Iterator[Removal]:
    since = None if older_than is None else _before(now, older_than)
    known = list(registrations(storage))
    counting = [one for one in known if one.counts(since)]
    for one in known:
        if one.is_here and one not in counting:
            if not dry_run:
                unregister(storage, one.run_id)
            yield Removal(f"run {one.run_id}", 0, "ended run")
    used = frozenset[Address]().union(*(one.addresses for one in counting))
    for entry in entries_of(storage):
        if unused and entry.address in used:
            continue
        if since is not None and not _last_needed_before(storage, entry, counting, since):
            continue
        if entry.is_newer:
            continue
        if not dry_run:
            storage.remove(entry.address)
        yield Removal(str(entry.address), entry.size, "unused" if unused else "old")
    for remnant in list(storage.remnants()):
        if not dry_run:
            storage.clear(remnant)
        yield Removal(remnant.name, remnant.size, "remnant")


def _before(now: datetime, age: timedelta) -> datetime:
    try:
        return now - age
    except OverflowError:
        return datetime.min.replace(tzinfo=timezone.utc)


def _last_needed_before(
    storage: Storage, entry: Entry, counting: list[Registration], since: datetime
) -> bool:
    """Returns whether an object was neither made nor registered from a time on.

    The machine that made it may have a wrong clock: the later one of its time and the store's counts.
    """
    if entry.description is None:
        return False
    times = [one.registered for one in counting if entry.address in one.addresses]
    written = storage.written(f"{OBJECTS}/{entry.address}/{DESCRIPTION}")
    return max([entry.description.created, *times, *([written] if written else [])]) < since
