"""Opening the results database, and refusing what isn't one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from sequela.core.errors import SequelaError
from sequela.core.paths import replacing
from sequela.results.earlier_schema import OLDEST_READ
from sequela.results.schema import SCHEMA_VERSION, Base, StoreRow


def create_database(path: Path) -> None:
    """Makes an empty database; it appears with all its tables or not at all."""
    with replacing(path) as temporary:
        engine = _connect(temporary)
        try:
            Base.metadata.create_all(engine)
            with Session(engine) as session, session.begin():
                session.add(StoreRow(id=1, schema_version=SCHEMA_VERSION))
        finally:
            engine.dispose()


def open_database(path: Path) -> tuple[Engine, int]:
    """Connects to a database made by `create_database`.

    Returns:
        The connection, and the schema version of the records.

    Raises:
        SequelaError: The file is no such database, or was written with a schema version that isn't read.
    """
    engine = _connect(path)
    try:
        with Session(engine) as session:
            row = session.get(StoreRow, 1)
            version = None if row is None else row.schema_version
    except DatabaseError as error:
        engine.dispose()
        raise SequelaError(
            f"{path} is not a readable results database: {error.orig}.",
            hint="Give the folder of a run, as printed at the end of `sequela run`.",
        ) from error
    if version is None or not OLDEST_READ <= version <= SCHEMA_VERSION:
        engine.dispose()
        raise SequelaError(
            f"{path} has schema version {version}; this version of sequela reads {OLDEST_READ} to "
            f"{SCHEMA_VERSION}.",
            hint="Read it with the version of sequela that its manifest.json names.",
        )
    return engine, version


def _connect(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", _enforce_references)
    return engine


def _enforce_references(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
