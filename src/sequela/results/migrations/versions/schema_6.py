"""Schema 6: the tables as they were before migrations, in a database of one run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "6"
down_revision = None


def upgrade() -> None:
    """Creates the tables in an empty database."""
    op.create_table(
        "store",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("schema_version", sa.Integer, nullable=False),
    )
    key = (
        sa.Column("trajectory", sa.String, nullable=False),
        sa.Column("n_edits", sa.Integer, nullable=False),
        sa.Column("suite", sa.String, nullable=False),
        sa.Column("suite_version", sa.String, nullable=False),
        sa.Column("model_hash", sa.String, nullable=False),
    )
    op.create_table(
        "evaluation",
        sa.Column("id", sa.Integer, primary_key=True),
        *key,
        sa.Column("n_items", sa.Integer, nullable=False),
        sa.UniqueConstraint(*(column.name for column in key), name="uq_evaluation_trajectory"),
    )
    op.create_table(
        "measurement",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("evaluation_id", sa.Integer, nullable=False, index=True),
        *(
            sa.Column(name, sa.String, nullable=False)
            for name in ("model", "editor", "variant", "edit_source")
        ),
        sa.Column("order_seed", sa.Integer, nullable=False),
        sa.Column("n_edits", sa.Integer, nullable=False),
        *(
            sa.Column(name, sa.String, nullable=False)
            for name in ("suite", "task", "task_group", "subtask", "metric", "protocol")
        ),
        sa.Column("value", sa.Double),
        sa.Column("stderr", sa.Double),
        *(
            sa.Column(name, sa.Integer, nullable=False)
            for name in ("n", "n_nonfinite", "n_too_long", "n_unfinished_thinking", "n_failed")
        ),
        sa.Column("baseline", sa.Double),
        sa.Column("shared", sa.JSON),
        sa.Column("note", sa.String, nullable=False),
        sa.Column("form", sa.JSON),
        sa.Column("edit_template", sa.String, nullable=False),
        sa.Column("edit_template_args", sa.JSON, nullable=False),
        sa.Column("template", sa.String, nullable=False),
        sa.Column("template_args", sa.JSON, nullable=False),
        sa.Column("think_end_token", sa.String, nullable=False),
        sa.Column("max_thinking_tokens", sa.Integer),
        sa.ForeignKeyConstraint(["evaluation_id"], ["evaluation.id"], name="fk_measurement_evaluation_id"),
    )
    op.create_table(
        "edit",
        sa.Column("trajectory", sa.String, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("record", sa.String, nullable=False),
    )
    op.create_table(
        "cost",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("record", sa.String, nullable=False),
    )
    op.execute("INSERT INTO store (id, schema_version) VALUES (1, 6)")
