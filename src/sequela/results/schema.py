"""The tables of the results database, the same in SQLite and in PostgreSQL.

Fields that are used for look-ups are columns. The record itself is stored as JSON, so that the pydantic
models remain the only definition of its content. Every row is covered by a digest (see `digests`), and the
row of a run by totals over the digests of its rows, so that a row that was lost is noticed too.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

SCHEMA_VERSION = 8
"""The schema version, increased whenever a table or a record changes: a migration in `migrations/versions`
leads to it. Stores of a newer version, or of one older than `earlier_schema.OLDEST_READ`, can't be opened."""

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    }
)
"""All tables. Constraints have names, since migrations can't change one that has none."""

WHOLE = BigInteger().with_variant(Integer(), "sqlite")
"""Whole numbers of 64 bits; SQLite numbers the rows of a table only if its key is of the type INTEGER."""

STORE = Table(
    "store",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("schema_version", Integer, nullable=False),
)
"""One row, with the schema version."""

RUN = Table(
    "run",
    METADATA,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("folder", String, nullable=False),
    Column("host", String, nullable=False),
    Column("created", String, nullable=False),
    Column("evaluation_total", String, nullable=False),
    Column("edit_total", String, nullable=False),
    Column("cost_total", String, nullable=False),
    Column("digest", String, nullable=False),
)
"""The runs. Who writes results of a run locks its row first."""


def _run_id(primary_key: bool = False) -> Column[str]:
    reference = ForeignKey("run.id", ondelete="CASCADE")
    return Column("run_id", String, reference, primary_key=primary_key, nullable=False)


EVALUATION = Table(
    "evaluation",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    _run_id(),
    Column("number", WHOLE, nullable=False),
    Column("trajectory", String, nullable=False),
    Column("n_edits", WHOLE, nullable=False),
    Column("suite", String, nullable=False),
    Column("suite_version", String, nullable=False),
    Column("model_hash", String, nullable=False),
    Column("n_items", WHOLE, nullable=False),
    Column("items_sha256", String, nullable=False),
    Column("measurements_digest", String, nullable=False),
    Column("digest", String, nullable=False),
    UniqueConstraint("run_id", "trajectory", "n_edits", "suite", "suite_version", "model_hash"),
)
"""Finished evaluations, numbered within their run; measurements are written in the same transaction."""

MEASUREMENT = Table(
    "measurement",
    METADATA,
    Column("id", WHOLE, primary_key=True),
    Column(
        "evaluation_id", WHOLE, ForeignKey("evaluation.id", ondelete="CASCADE"), index=True, nullable=False
    ),
    Column("model", String, nullable=False),
    Column("editor", String, nullable=False),
    Column("variant", String, nullable=False),
    Column("edit_source", String, nullable=False),
    Column("order_seed", WHOLE, nullable=False),
    Column("edit_sample", WHOLE),
    Column("n_edits", WHOLE, nullable=False),
    Column("suite", String, nullable=False),
    Column("task", String, nullable=False),
    Column("task_group", String, nullable=False),  # `group` is a reserved word in SQL
    Column("subtask", String, nullable=False),
    Column("metric", String, nullable=False),
    Column("protocol", String, nullable=False),
    Column("value", Double),
    Column("stderr", Double),
    Column("n", WHOLE, nullable=False),
    Column("n_nonfinite", WHOLE, nullable=False),
    Column("n_too_long", WHOLE, nullable=False),
    Column("n_unfinished_thinking", WHOLE, nullable=False),
    Column("n_failed", WHOLE, nullable=False),
    Column("baseline", Double),
    Column("shared", String),
    Column("note", String, nullable=False),
    Column("form", String),
    Column("edit_template", String, nullable=False),
    Column("edit_template_args", String, nullable=False),
    Column("template", String, nullable=False),
    Column("template_args", String, nullable=False),
    Column("think_end_token", String, nullable=False),
    Column("max_thinking_tokens", WHOLE),
)
"""Measurements, with a column for each field so that results can be queried with SQL. `shared`, `form` and
the arguments of templates are JSON texts."""

EDIT = Table(
    "edit",
    METADATA,
    _run_id(primary_key=True),
    Column("trajectory", String, primary_key=True),
    Column("position", WHOLE, primary_key=True, autoincrement=False),
    Column("record", String, nullable=False),
    Column("record_digest", String, nullable=False),
    Column("digest", String, nullable=False),
)
"""Edits of trajectories; an edit that is applied again after an interruption replaces its earlier record."""

COST = Table(
    "cost",
    METADATA,
    _run_id(primary_key=True),
    Column("number", WHOLE, primary_key=True, autoincrement=False),
    Column("record", String, nullable=False),
    Column("digest", String, nullable=False),
)
"""The costs of steps, numbered within their run."""
