"""Schema 7: several runs in one database, and digests over all rows and item files.

The tables are created anew and their rows copied, since SQLite can't change keys and constraints in place.
The digests are those of what the database and the item files hold now.
"""

from __future__ import annotations

import json
import socket
import uuid
from collections import defaultdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from sequela.core.hashing import sha256_of_file
from sequela.results.digests import run_digest, total_of
from sequela.results.evaluation_key import EvaluationKey
from sequela.results.rows import cost_row_of, edit_row_of, evaluation_row

revision = "7"
down_revision = "6"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON_COLUMNS = ("shared", "form", "edit_template_args", "template_args")


def upgrade() -> None:
    """Moves all rows to new tables, as the rows of one run."""
    connection = op.get_bind()
    stored = {
        name: [
            dict(row) for row in connection.execute(sa.text(f"SELECT * FROM {name} ORDER BY {by}")).mappings()
        ]
        for name, by in (
            ("evaluation", "id"),
            ("measurement", "id"),
            ("edit", "trajectory, position"),
            ("cost", "id"),
        )
    }
    for name in ("measurement", "evaluation", "edit", "cost"):
        op.drop_table(name)
    tables = _create_tables()
    folder: Path | None = context.config.attributes.get("folder")
    if folder is not None:  # an empty database belongs to no run yet
        _fill(connection, tables, stored, folder)
    connection.execute(sa.text("UPDATE store SET schema_version = 7"))


def _rows(connection: sa.Connection, table: str, order: str) -> list[dict[str, Any]]:
    rows = connection.execute(sa.text(f"SELECT * FROM {table} ORDER BY {order}"))
    return [dict(row) for row in rows.mappings()]


def _fill(
    connection: sa.Connection,
    tables: dict[str, sa.Table],
    stored: dict[str, list[dict[str, Any]]],
    folder: Path,
) -> None:
    run_id = uuid.uuid4().hex
    measurements = defaultdict(list)
    for row in stored["measurement"]:
        for name in JSON_COLUMNS:
            if isinstance(row[name], dict):  # as PostgreSQL returns it
                row[name] = json.dumps(row[name])
        measurements[row["evaluation_id"]].append(row)
    evaluations = []
    for number, row in enumerate(stored["evaluation"], start=1):
        key = EvaluationKey.model_validate({name: row[name] for name in EvaluationKey.model_fields})
        path = folder / "items" / f"{key.content_hash}.parquet"
        # Of a file that is missing no digest can be known.
        sha256 = sha256_of_file(path) if row["n_items"] and path.is_file() else ""
        filled = evaluation_row(run_id, number, key, (row["n_items"], sha256), measurements[row["id"]])
        evaluations.append({"id": row["id"], **filled})
    edits = [edit_row_of(run_id, row["trajectory"], row["position"], row["record"]) for row in stored["edit"]]
    costs = [cost_row_of(run_id, number, row["record"]) for number, row in enumerate(stored["cost"], 1)]
    run = {
        "id": run_id,
        "name": folder.absolute().name,
        "folder": str(folder.absolute()).encode("utf-8", "replace").decode("utf-8"),
        "host": socket.gethostname(),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "evaluation_total": total_of(row["digest"] for row in evaluations),
        "edit_total": total_of(row["digest"] for row in edits),
        "cost_total": total_of(row["digest"] for row in costs),
    }
    of_tables = {
        "run": [{**run, "digest": run_digest(run)}],
        "evaluation": evaluations,
        "measurement": stored["measurement"],
        "edit": edits,
        "cost": costs,
    }
    for name, rows in of_tables.items():
        if rows:
            connection.execute(tables[name].insert(), rows)


def _create_tables() -> dict[str, sa.Table]:
    def text(name: str, nullable: bool = False) -> sa.Column[Any]:
        return sa.Column(name, sa.String, nullable=nullable)

    def whole(name: str, nullable: bool = False) -> sa.Column[Any]:
        return sa.Column(name, WHOLE, nullable=nullable)

    def run_id(table: str) -> sa.ForeignKeyConstraint:
        name = f"fk_{table}_run_id_run"
        return sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=name, ondelete="CASCADE")

    key = ("trajectory", "n_edits", "suite", "suite_version", "model_hash")
    return {
        "run": op.create_table(
            "run",
            sa.Column("id", sa.String, primary_key=True),
            *map(text, ("name", "folder", "host", "created")),
            *map(text, ("evaluation_total", "edit_total", "cost_total", "digest")),
        ),
        "evaluation": op.create_table(
            "evaluation",
            sa.Column("id", WHOLE, primary_key=True),
            text("run_id"),
            whole("number"),
            *(whole(name) if name == "n_edits" else text(name) for name in key),
            whole("n_items"),
            *map(text, ("items_sha256", "measurements_digest", "digest")),
            run_id("evaluation"),
            sa.UniqueConstraint("run_id", *key, name="uq_evaluation_run_id"),
        ),
        "measurement": op.create_table(
            "measurement",
            sa.Column("id", WHOLE, primary_key=True),
            sa.Column("evaluation_id", WHOLE, index=True, nullable=False),
            *map(text, ("model", "editor", "variant", "edit_source")),
            *map(whole, ("order_seed", "n_edits")),
            *map(text, ("suite", "task", "task_group", "subtask", "metric", "protocol")),
            sa.Column("value", sa.Double),
            sa.Column("stderr", sa.Double),
            *map(whole, ("n", "n_nonfinite", "n_too_long", "n_unfinished_thinking", "n_failed")),
            sa.Column("baseline", sa.Double),
            text("shared", nullable=True),
            text("note"),
            text("form", nullable=True),
            *map(text, ("edit_template", "edit_template_args", "template", "template_args")),
            text("think_end_token"),
            whole("max_thinking_tokens", nullable=True),
            sa.ForeignKeyConstraint(
                ["evaluation_id"],
                ["evaluation.id"],
                name="fk_measurement_evaluation_id_evaluation",
                ondelete="CASCADE",
            ),
        ),
        "edit": op.create_table(
            "edit",
            sa.Column("run_id", sa.String, primary_key=True),
            sa.Column("trajectory", sa.String, primary_key=True),
            sa.Column("position", WHOLE, primary_key=True, autoincrement=False),
            *map(text, ("record", "record_digest", "digest")),
            run_id("edit"),
        ),
        "cost": op.create_table(
            "cost",
            sa.Column("run_id", sa.String, primary_key=True),
            sa.Column("number", WHOLE, primary_key=True, autoincrement=False),
            *map(text, ("record", "digest")),
            run_id("cost"),
        ),
    }
