"""Migrations of the results database from schema 6 on, one module for each schema version.

Alembic runs them; the revision of a migration is the schema version that it leads to. To change the schema:
change `schema.py` and its `SCHEMA_VERSION`, and add `versions/schema_<n>.py`. A test compares the tables that
the migrations lead to with those of `schema.py`.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def migrate(connection: Connection, found: int, version: int, folder: Path | None = None) -> None:
    """Brings a database to a schema version within a transaction of the caller.

    Args:
        connection: The database.
        found: Its schema version; 0 for an empty database.
        version: The schema version to reach.
        folder: The folder of the run whose database it is, if it has one run.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes.update(connection=connection, folder=folder)
    if found:  # a database that Alembic hasn't migrated yet doesn't name its revision
        command.stamp(config, str(found))
    command.upgrade(config, str(version))
