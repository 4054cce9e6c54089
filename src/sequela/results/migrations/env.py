"""The entry point of Alembic: runs migrations on the connection, and in the transaction, of the caller."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,  # SQLite can, too; Alembic assumes the contrary
)
context.run_migrations()
