"""The location of the results of a run: its folder, or a server.

A run that starts while `SEQUELA_DATABASE` names a server keeps its results there; its folder has a file that
says which database and which run, without a password. Any other run has a database of its own in its folder.
A run stays where it started.
"""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from sqlalchemy import URL, select
from sqlalchemy.exc import SQLAlchemyError

from sequela.core.descriptions import read_description_of, write_description
from sequela.core.errors import BadInputError, SequelaError
from sequela.results import postgresql
from sequela.results.database import RESTORE, Database, StoredRun, add_run, new_run_id, runs_in
from sequela.results.schema import RUN
from sequela.results.sqlite_database import create_database, open_database

DATABASE_VARIABLE = "SEQUELA_DATABASE"
DATABASE_NAME = "results.sqlite"
REFERENCE_NAME = "database.json"
ITEMS_FOLDER = "items"


class DatabaseReference(BaseModel):
    """The content of `database.json`: where the results of the run are.

    Args:
        address: The address of the database, without a password.
        run_id: The id of the run in it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str
    run_id: str


def open_run_database(folder: Path, create: bool = False, name: str = "", upgrade: bool = False) -> Database:
    """Opens the database with the results of a run.

    Args:
        folder: The run's folder.
        create: Whether the run may be created, and tables upgraded in place.
        name: The name of the study, for a new run.
        upgrade: Whether tables may be upgraded in place, without creating a run.

    Raises:
        SequelaError: There are no results and `create` is False, or the database can't be opened.
    """
    path, reference = folder / DATABASE_NAME, folder / REFERENCE_NAME
    address = os.environ.get(DATABASE_VARIABLE, "")
    if reference.is_file():
        return _open_on_server(folder, create, name, address, upgrade)
    if not path.is_file():
        if not create:
            raise SequelaError(
                f"There are no results in {folder}: it has no {DATABASE_NAME}.",
                hint="Give the folder of a run, as printed at the end of `sequela run`.",
            )
        if address:
            url = postgresql.read_address(address, DATABASE_VARIABLE)
            postgresql.connect(url).dispose()  # the folder refers to a database that can be used only
            public = str(postgresql.without_secrets(url))
            write_description(reference, DatabaseReference(address=public, run_id=new_run_id()))
            return _open_on_server(folder, create, name, address)
        create_database(path, name)
    return open_database(path, write=create or upgrade)


def check_reachable(folder: Path) -> None:
    """Checks that the server which has the results of a run, or will have them, answers; if there is one.

    Args:
        folder: The run's folder, which need not exist.

    Raises:
        SequelaError: It doesn't, or refuses.
    """
    path, reference = folder / DATABASE_NAME, folder / REFERENCE_NAME
    address = os.environ.get(DATABASE_VARIABLE, "")
    if reference.is_file():
        postgresql.connect(_address_of(reference, address, strict=True)).dispose()
    elif address and not path.is_file():
        postgresql.connect(postgresql.read_address(address, DATABASE_VARIABLE)).dispose()


def runs_on_server(address: str) -> list[StoredRun]:
    """Returns the runs in a database on a server, the oldest first.

    Args:
        address: The address, as in `SEQUELA_DATABASE`.

    Raises:
        SequelaError: The database can't be opened.
    """
    engine = postgresql.connect(url := postgresql.read_address(address, "The address"))
    try:
        postgresql.prepare_tables(engine, str(postgresql.without_secrets(url)), create=False)
        with engine.connect() as connection:
            return runs_in(connection)
    finally:
        engine.dispose()


def _open_on_server(folder: Path, create: bool, name: str, address: str, upgrade: bool = False) -> Database:
    """Opens the database that a folder refers to; the variable adds a password."""
    reference = _reference(folder / REFERENCE_NAME)
    url = _address_of(folder / REFERENCE_NAME, address, strict=create)
    public = str(postgresql.without_secrets(url))
    engine = postgresql.connect(url)
    try:
        postgresql.prepare_tables(engine, public, create or upgrade)
        database = Database(engine, public, reference.run_id)
        try:
            _find_run(database, folder, create, name)
        except SQLAlchemyError as error:
            raise SequelaError(f"The results database {public} can't be read: {error}.") from error
        return database
    except BaseException:
        engine.dispose()
        raise


def _reference(path: Path) -> DatabaseReference:
    return read_description_of(path, DatabaseReference, "a reference to a results database")


def _address_of(path: Path, address: str, strict: bool) -> URL:
    """Returns the address in a reference, with the password of another address.

    Args:
        path: The file with the reference.
        address: The other address; empty if there is none.
        strict: Whether it must be one.
    """
    url = postgresql.read_address(_reference(path).address, str(path))
    if address:
        try:
            return postgresql.with_secrets_of(url, postgresql.read_address(address, DATABASE_VARIABLE))
        except BadInputError:
            if strict:
                raise
    return url


def _find_run(database: Database, folder: Path, create: bool, name: str) -> None:
    """Checks that the database has the run; adds it if it has just been started."""
    with database.reading() as connection:
        statement = select(RUN.c.id).where(RUN.c.id == database.run_id)
        if connection.execute(statement).first() is not None:
            return
    # A run is started by writing the reference first. Items show that there have been results.
    if not create or any((folder / ITEMS_FOLDER).glob("*")):
        raise SequelaError(
            f"The database {database.name} has no run {database.run_id}, which {folder} refers to.",
            hint=RESTORE,
        )
    with database.writing() as connection:
        add_run(connection, database.run_id, folder, name)
