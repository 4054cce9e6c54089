"""Creating, opening and upgrading the results database."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager, closing
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from sequela.core.damaged_files import UNREADABLE, naming_file
from sequela.core.errors import SequelaError
from sequela.core.paths import replacing
from sequela.results.earlier_schema import OLDEST_READ, upgrade
from sequela.results.schema import SCHEMA_VERSION, Base, StoreRow


def create_database(path: Path) -> None:
    """Creates an empty database atomically, with all its tables or not at all."""
    with replacing(path) as temporary:
        engine = _connect(temporary)
        try:
            Base.metadata.create_all(engine)
            with Session(engine) as session, session.begin():
                session.add(StoreRow(id=1, schema_version=SCHEMA_VERSION))
        finally:
            engine.dispose()


def open_database(path: Path, write: bool = False) -> Engine:
    """Connects to a database that `create_database` created.

    Args:
        path: The file.
        write: Whether to upgrade a file of an earlier schema version in place, in one transaction. If not, a
            copy in memory is upgraded and the file stays unchanged.

    Raises:
        SequelaError: The file is not a results database, its schema version is not supported, or the upgrade
            can't be written.
    """
    engine = _connect(path)
    try:
        with Session(engine) as session:
            row = session.get(StoreRow, 1)
            version = None if row is None else row.schema_version
    except (DatabaseError, ValueError, TypeError, OverflowError) as error:
        engine.dispose()
        raise SequelaError(
            f"{path} is not a readable results database: {getattr(error, 'orig', None) or error}.",
            hint="Give the folder of a run, as printed at the end of `sequela run`.",
        ) from error
    if version is None or not OLDEST_READ <= version <= SCHEMA_VERSION:
        engine.dispose()
        raise SequelaError(
            f"{path} has schema version {version}; this version of sequela reads {OLDEST_READ} to "
            f"{SCHEMA_VERSION}.",
            hint="Use the version of sequela that the run's manifest.json names.",
        )
    if version == SCHEMA_VERSION:
        return engine
    if write:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection, _naming(path):
            _upgrade(connection, path, version)
        return engine
    engine.dispose()
    return _upgraded_copy(path, version)


def _naming(path: Path) -> AbstractContextManager[None]:
    """Converts the errors of a damaged database within the `with` block."""
    return naming_file(path, "results", errors=(*UNREADABLE, sqlite3.Error))


def _upgraded_copy(path: Path, version: int) -> Engine:
    """Returns a connection to an upgraded copy in memory."""
    # One connection for all uses: an in-memory database is lost when its connection closes.
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    with _naming(path):
        with closing(sqlite3.connect(path)) as source:
            source.backup(copy)
        _upgrade(copy, path, version)
    copy.isolation_level = "DEFERRED"
    return create_engine("sqlite://", creator=lambda: copy, poolclass=StaticPool)


def _upgrade(connection: sqlite3.Connection, path: Path, version: int) -> None:
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            upgrade(connection, version, SCHEMA_VERSION)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        raise SequelaError(
            f"{path} can't be upgraded to schema version {SCHEMA_VERSION}: {error}.",
            hint="Check that the disk has space and that no other run writes there. The file is unchanged.",
        ) from error


def _connect(path: Path) -> Engine:
    engine = create_engine(URL.create("sqlite", database=str(path)))  # a name may have % and ?
    event.listen(engine, "connect", _enforce_references)
    return engine


def _enforce_references(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
