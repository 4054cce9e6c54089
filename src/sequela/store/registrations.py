"""The runs that use objects: each has a document in `runs/`, by which `prune` knows what is in use."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from sequela.core.errors import BadInputError, IntegrityError
from sequela.core.progress import SILENT
from sequela.core.validation import in_words
from sequela.store.address import Address
from sequela.store.documents import checked_content, with_digest
from sequela.store.storage import RUNS, Storage

_RUN_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    run: str
    host: str
    folder: str
    objects: tuple[str, ...]
    registered: AwareDatetime


@dataclass(frozen=True)
class Registration:
    """A run that uses objects.

    Args:
        run_id: The name of the run, unique in the store.
        host: The name of the machine where it runs.
        folder: The folder of the run on that machine.
        addresses: The objects that it uses.
        registered: The time of its last registration, by the clock of its machine or, if that is later, of
            the store: an object must not go too early because a clock is wrong.
    """

    run_id: str
    host: str
    folder: str
    addresses: frozenset[Address]
    registered: datetime

    @property
    def is_here(self) -> bool:
        """True for a run of this machine."""
        return self.host == socket.gethostname()

    def counts(self, since: datetime | None = None) -> bool:
        """Returns whether the objects of the run are in use.

        Args:
            since: The time from which on runs of other machines count; None if all do.
        """
        if self.is_here:
            return Path(self.folder).is_dir()
        return since is None or self.registered >= since


def run_id_of(folder: Path) -> str:
    """Returns a name for the run in a folder, unique among all machines that have different names."""
    place = f"{socket.gethostname()}:{folder.resolve()}"
    return hashlib.sha256(place.encode("utf-8", errors="surrogateescape")).hexdigest()[:16]


def register(storage: Storage, run_id: str, folder: Path, addresses: Iterable[Address]) -> None:
    """Adds objects, which need not be there yet, to those that a run uses.

    Raises:
        BadInputError: The name of the run can't be the name of a file.
    """
    _check(run_id)
    added = frozenset(addresses)
    with storage.locked(f"run-{run_id}", f"the registration of the run {run_id}", SILENT):
        data = storage.read(_name(run_id))
        before = frozenset[Address]() if data is None else _read(data, _name(run_id)).addresses
        content = {
            "run": run_id,
            "host": socket.gethostname(),
            "folder": str(folder.resolve()),
            "objects": sorted(map(str, before | added)),
            "registered": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        storage.write(_name(run_id), with_digest(content))


def unregister(storage: Storage, run_id: str) -> None:
    """Removes a run from those that use objects.

    Raises:
        BadInputError: The name of the run can't be the name of a file.
    """
    _check(run_id)
    storage.delete(_name(run_id))


def registrations(storage: Storage) -> Iterator[Registration]:
    """Yields all runs.

    Raises:
        IntegrityError: The document of a run is damaged, so that nobody knows what it uses.
    """
    for name in storage.names(RUNS):
        if name.endswith(".json"):
            data = storage.read(f"{RUNS}/{name}")
            if data is not None:
                found, written = _read(data, f"{RUNS}/{name}"), storage.written(f"{RUNS}/{name}")
                yield found if written is None else replace(found, registered=max(found.registered, written))


def _read(data: bytes, name: str) -> Registration:
    hint = f"Remove {name} from the store; the run registers again when it goes on."
    try:
        document = _Document.model_validate(checked_content(data, name))
        addresses = frozenset(map(Address.parse, document.objects))
    except ValidationError as error:
        raise IntegrityError(f"{name} can't be read: {in_words(error)}.", hint=hint) from error
    except (IntegrityError, BadInputError) as error:
        raise IntegrityError(error.message, hint=hint) from error
    return Registration(document.run, document.host, document.folder, addresses, document.registered)


def _name(run_id: str) -> str:
    return f"{RUNS}/{run_id}.json"


def _check(run_id: str) -> None:
    if not _RUN_ID.fullmatch(run_id):
        raise BadInputError(
            f"{run_id!r} can't be the name of a run in a store, which has up to 128 letters, digits, `-`, "
            "`_` and `.`."
        )
