"""A results database, whatever its kind: an open connection, and the row of the run in it."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, select, text

from sequela.core.errors import IntegrityError, SequelaError
from sequela.results.digests import NO_ROWS, run_digest
from sequela.results.schema import RUN

LOCK_WAIT = 60
"""The time for which a writer waits for other writers, in seconds."""

WRITES = "sequela_writes"
"""The execution option of connections that write."""


@dataclass(frozen=True)
class Database:
    """An open results database.

    Args:
        engine: The connections.
        name: What messages call it: the file, or the address without a password.
        run_id: The run whose results are read and written.
        notes: Remarks for users about how the database is kept.
        is_copy: Whether it is an upgraded copy in memory, for reading.
    """

    engine: Engine
    name: str
    run_id: str
    notes: tuple[str, ...] = ()
    is_copy: bool = False

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Opens a connection that sees one state of the database, whatever others write meanwhile."""
        engine = self.engine
        if engine.dialect.name == "postgresql":
            engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Opens a connection whose changes are written at the end of the block, all of them or none.

        One writer at a time changes the results of a run; the others wait. Whatever interrupts the block, at
        its end the database is unlocked.

        Raises:
            SequelaError: The database is of an earlier version and was opened for reading.
        """
        if self.is_copy:
            raise SequelaError(f"{self.name} is of an earlier version of sequela and was opened for reading.")
        connection = self.engine.execution_options(**{WRITES: True}).connect()
        try:
            if self.engine.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_WAIT}s'"))
            yield connection
            connection.commit()
        except BaseException:
            # Rolling back needs code that an interrupt may have left in any state; closing the connection
            # of the driver doesn't, and has the same effect.
            connection.invalidate()
            raise
        finally:
            connection.close()


@dataclass(frozen=True)
class StoredRun:
    """A run in a results database.

    Args:
        id: Its id, which no other run in any database has.
        name: The name of its study.
        folder: The folder in which it began.
        host: The name of the machine on which it began.
        created: When it began (UTC, ISO 8601); for a run of schema 6 or earlier, when it was upgraded.
    """

    id: str
    name: str
    folder: str
    host: str
    created: str


def runs_in(connection: Connection) -> list[StoredRun]:
    """Returns the runs in a database, the oldest first."""
    columns = (RUN.c.id, RUN.c.name, RUN.c.folder, RUN.c.host, RUN.c.created)
    rows = connection.execute(select(*columns).order_by(RUN.c.created, RUN.c.id))
    return [StoredRun(*row) for row in rows]


def add_run(connection: Connection, run_id: str, folder: Path, name: str) -> None:
    """Adds a run without results.

    Args:
        connection: The database.
        run_id: The id of the run.
        folder: Its folder.
        name: The name of its study; empty to take that of the folder.
    """
    absolute = str(folder.absolute()).encode("utf-8", "replace").decode("utf-8")
    row = {
        "id": run_id,
        "name": name or Path(absolute).name,
        "folder": absolute,
        "host": socket.gethostname(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "evaluation_total": NO_ROWS,
        "edit_total": NO_ROWS,
        "cost_total": NO_ROWS,
    }
    connection.execute(RUN.insert(), [{**row, "digest": run_digest(row)}])


def new_run_id() -> str:
    """Returns an id that no other run has."""
    return uuid.uuid4().hex


def run_row(connection: Connection, database: Database, lock: bool = False) -> dict[str, Any]:
    """Returns the row of the run.

    Args:
        connection: The database.
        database: Its description.
        lock: Whether to wait for other writers of the run, and to make later ones wait.

    Raises:
        IntegrityError: The row is missing, or isn't the one that was written.
    """
    statement = select(RUN).where(RUN.c.id == database.run_id)
    row = connection.execute(statement.with_for_update() if lock else statement).mappings().first()
    if row is None:
        raise IntegrityError(f"The run {database.run_id} is not in {database.name} any more.", hint=RESTORE)
    found = dict(row)
    if run_digest(found) != found["digest"]:
        raise IntegrityError(
            f"{database.name} is damaged: the description of the run isn't the one that was written.",
            hint=RESTORE,
        )
    return found


RESTORE = "Restore the database from a copy, or run the study in another folder."
"""The advice about a database that can't be repaired by measuring again."""


def version_error(name: str, version: object, oldest: int, newest: int) -> SequelaError:
    """Returns the error about a schema version that this version of the program doesn't know."""
    hint = "Use the version of sequela that the run's manifest.json names."
    if isinstance(version, int) and version > newest:
        hint = "It is of a newer version of sequela: install that version to read it."
    return SequelaError(
        f"{name} has schema version {version}; this version of sequela reads {oldest} to {newest}.", hint=hint
    )
