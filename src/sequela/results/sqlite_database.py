"""The results database of one run in its folder: SQLite.

Write-ahead logging lets any number of readers read while a run writes. It needs memory that all processes
share, which network file systems don't offer; there, the older rollback journal is used, and said.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import QueuePool, StaticPool

from sequela.core.damaged_files import UNREADABLE, naming_file
from sequela.core.errors import SequelaError
from sequela.core.paths import replacing
from sequela.results.database import (
    LOCK_WAIT,
    WRITES,
    Database,
    add_run,
    new_run_id,
    runs_in,
    version_error,
)
from sequela.results.earlier_schema import LAST_BEFORE_MIGRATIONS, OLDEST_READ, upgrade
from sequela.results.file_systems import network_file_system
from sequela.results.schema import METADATA, SCHEMA_VERSION, STORE


class _FileConnection(sqlite3.Connection):
    """A connection to a file that unlocks it when it is closed.

    SQLite keeps a closed connection, and its lock, until all its queries have ended; one that was interrupted
    ends only when nothing refers to it any more.
    """

    def close(self) -> None:
        """Undoes what isn't committed and closes the connection."""
        with suppress(sqlite3.Error):
            self.rollback()
        super().close()


def create_database(path: Path, name: str = "") -> None:
    """Creates a database with a run without results atomically, with all its tables or not at all.

    Args:
        path: The file, in the folder of the run.
        name: The name of the study.
    """
    with replacing(path) as temporary:
        engine = _engine(lambda: _connect(temporary, journal="MEMORY"))  # no second temporary file
        try:
            with engine.begin() as connection:
                METADATA.create_all(connection)
                connection.execute(STORE.insert(), [{"id": 1, "schema_version": SCHEMA_VERSION}])
                add_run(connection, new_run_id(), path.parent, name)
        finally:
            engine.dispose()


def open_database(path: Path, write: bool = False) -> Database:
    """Connects to a database that `create_database` created.

    Args:
        path: The file.
        write: Whether to upgrade a file of an earlier schema version in place, in one transaction. If not, a
            copy in memory is upgraded and the file stays unchanged.

    Raises:
        SequelaError: The file is not a results database, its schema version is not supported, or the upgrade
            can't be written.
    """
    engine = _engine(lambda: _connect(path))
    try:
        version = _version(engine, path)
        if not OLDEST_READ <= version <= SCHEMA_VERSION:
            raise version_error(str(path), version, OLDEST_READ, SCHEMA_VERSION)
        is_copy = version < SCHEMA_VERSION and not write
        if is_copy:
            engine.dispose()
            engine = _upgraded_copy(path, version)
        elif version < SCHEMA_VERSION:
            _upgrade_in_place(engine, path, version)
        notes = _choose_journal(path) if write else ()
        with naming_file(path, "results", errors=(*UNREADABLE, SQLAlchemyError)), engine.connect() as reader:
            runs = runs_in(reader)
        if len(runs) != 1:
            raise SequelaError(
                f"{path} is not a readable results database: it has {len(runs)} runs instead of one.",
                hint="Copy the file again from where it was written.",
            )
        return Database(engine, str(path), runs[0].id, notes, is_copy)
    except BaseException:
        engine.dispose()
        raise


def _version(engine: Engine, path: Path) -> int:
    hint = "Give the folder of a run, as printed at the end of `sequela run`."
    try:
        with engine.connect() as connection:
            row = connection.execute(select(STORE.c.schema_version).where(STORE.c.id == 1)).first()
    except (DatabaseError, sqlite3.Error, ValueError, TypeError, OverflowError) as error:
        reason = getattr(error, "orig", None) or error
        raise SequelaError(f"{path} is not a readable results database: {reason}.", hint=hint) from error
    if row is None or not isinstance(row[0], int):
        raise SequelaError(f"{path} is not a readable results database: it names no version.", hint=hint)
    return row[0]


def _choose_journal(path: Path) -> tuple[str, ...]:
    """Switches to write-ahead logging where the file system allows it; returns what to say if it doesn't."""
    network = network_file_system(path.parent)
    reason = f"{path.parent} is on a network file system ({network})" if network else ""
    with naming_file(path, "results", errors=(*UNREADABLE, sqlite3.Error)), closing(_connect(path)) as raw:
        if network:
            _set_journal(raw, "DELETE")
        else:
            reason = _set_journal(raw, "WAL")
    if not reason:
        return ()
    return (
        f"{path.name} is kept without write-ahead logging, because {reason}: readers and the run may wait "
        "for one another",
    )


def _set_journal(raw: sqlite3.Connection, journal: str) -> str:
    """Sets the kind of journal; returns the reason if that is not possible."""
    reason = ""
    for _ in range(50):  # SQLite doesn't wait for other connections here
        try:
            found = raw.execute(f"PRAGMA journal_mode = {journal}").fetchone()[0]
        except sqlite3.OperationalError as error:
            reason = str(error)
            if "locked" not in reason:
                break
            time.sleep(0.1)
        else:
            return "" if found.upper() == journal else f"SQLite keeps the journal {found!r} there"
    return reason


def _upgrade_in_place(engine: Engine, path: Path, version: int) -> None:
    with naming_file(path, "results", errors=(*UNREADABLE, sqlite3.Error, SQLAlchemyError)):
        try:
            _upgrade(engine, path, version)
        except (OperationalError, sqlite3.OperationalError) as error:
            reason = getattr(error, "orig", None) or error
            raise SequelaError(
                f"{path} can't be upgraded to schema version {SCHEMA_VERSION}: {reason}.",
                hint="Check that the disk has space and that no other run writes there. The file is "
                "unchanged.",
            ) from error


def _upgraded_copy(path: Path, version: int) -> Engine:
    """Returns a connection to an upgraded copy in memory."""
    # One connection for all uses: an in-memory database is lost when its connection closes.
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    engine = _engine(lambda: copy, single=True)
    with naming_file(path, "results", errors=(*UNREADABLE, sqlite3.Error, SQLAlchemyError)):
        with closing(_connect(path)) as source:
            source.backup(copy)
        _upgrade(engine, path, version)
    return engine


def _upgrade(engine: Engine, path: Path, version: int) -> None:
    from sequela.results.migrations import migrate  # Alembic is needed for few of all databases

    with engine.execution_options(**{WRITES: True}).connect() as connection:
        raw = _raw(connection)
        # Tables are dropped and created anew; their references hold again at the end.
        raw.execute("PRAGMA foreign_keys = OFF")
        try:
            with connection.begin():
                if version < LAST_BEFORE_MIGRATIONS:
                    upgrade(raw, version)
                migrate(connection, max(version, LAST_BEFORE_MIGRATIONS), SCHEMA_VERSION, path.parent)
        finally:
            raw.execute("PRAGMA foreign_keys = ON")


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.driver_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw


def _connect(path: Path, journal: str = "") -> sqlite3.Connection:
    """Opens a file, which must exist; its name may have any character."""
    # A reader that may not write beside the file can't make the files of a log; without a log it needs none.
    is_fixed = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    uri = f"{path.absolute().as_uri()}?{'immutable=1' if is_fixed else 'mode=rw'}"
    raw = sqlite3.connect(
        uri,
        uri=True,
        timeout=LOCK_WAIT,
        isolation_level=None,
        check_same_thread=False,
        factory=_FileConnection,
    )
    raw.text_factory = _decoded
    raw.execute("PRAGMA foreign_keys = ON")
    if journal:
        raw.execute(f"PRAGMA journal_mode = {journal}")
    return raw


def _decoded(content: bytes) -> str:
    # A damaged text is read all the same, so that its digest shows which row is damaged.
    return content.decode("utf-8", errors="surrogateescape")


def _engine(connect: Callable[[], sqlite3.Connection], single: bool = False) -> Engine:
    engine = create_engine("sqlite://", creator=connect, poolclass=StaticPool if single else QueuePool)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    if not connection.get_execution_options().get(WRITES, False):
        connection.exec_driver_sql("BEGIN")
        return
    # A writer takes the lock at once: one that reads first and writes later could be refused in between.
    # SQLite itself asks for the lock ten times a second only, so that a busy writer could keep others out.
    end = time.monotonic() + LOCK_WAIT
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            break
        except OperationalError as error:
            if "locked" not in str(error.orig) or time.monotonic() > end:
                raise
        time.sleep(random.uniform(0.0005, 0.004))
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {1000 * LOCK_WAIT}")
