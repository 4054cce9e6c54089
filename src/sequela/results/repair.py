"""Finding and setting aside what is damaged in the results of a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sqlalchemy import Connection, Table, text

from sequela.core.damaged_files import first_line
from sequela.core.errors import IntegrityError
from sequela.core.paths import replacing
from sequela.results.database import RESTORE
from sequela.results.digests import Row, run_digest, total_of
from sequela.results.evaluation_key import EvaluationKey
from sequela.results.item_files import item_file_problem
from sequela.results.rows import key_of
from sequela.results.schema import COST, EDIT, EVALUATION, RUN
from sequela.results.stored_rows import (
    Damage,
    DamageKind,
    read_costs,
    read_edits,
    read_evaluations,
    read_measurements,
    replace_rows,
)

DAMAGED_FOLDER = "damaged"
"""The folder of a run with what was set aside."""

ItemsPath = Callable[[EvaluationKey], Path]


def find_damage(connection: Connection, run: Row, name: str, items_path: ItemsPath) -> list[Damage]:
    """Returns everything that is not what was written.

    Args:
        connection: The database.
        run: The row of the run.
        name: What messages call the database.
        items_path: Returns the item file of an evaluation.

    Raises:
        IntegrityError: The file of the database is damaged between the rows.
    """
    if connection.dialect.name == "sqlite":
        problem = str(connection.execute(text("PRAGMA integrity_check(1)")).scalar())
        if problem != "ok":
            raise IntegrityError(f"{name} is damaged: {first_line(ValueError(problem))}.", hint=RESTORE)
    evaluations = read_evaluations(connection, run, name)
    _, of_measurements = read_measurements(connection, evaluations.rows, name)
    found = [*evaluations.damage, *of_measurements]
    for row in evaluations.rows:
        key = key_of(row)
        if row["n_items"] and (problem := item_file_problem(items_path(key), row["items_sha256"])):
            found.append(Damage(DamageKind.EVALUATION, problem, key, row=row))
    edits, costs = read_edits(connection, run, name), read_costs(connection, run, name)
    return [*found, *edits.damage, *costs.damage]


def set_aside(
    connection: Connection,
    run: Row,
    name: str,
    damage: Sequence[Damage],
    folder: Path,
    items_path: ItemsPath,
) -> None:
    """Takes what is damaged out of the database, after copying it into the folder `damaged`.

    Args:
        connection: The database, within a transaction.
        run: The row of the run.
        name: What messages call the database.
        damage: What is damaged.
        folder: The folder of the run.
        items_path: Returns the item file of an evaluation.
    """
    for one in damage:
        if one.row is not None:
            _copy(folder / DAMAGED_FOLDER, one)
        if one.key is not None and items_path(one.key).is_file():
            items_path(one.key).replace(_free(folder / DAMAGED_FOLDER, one.key.content_hash, ".parquet"))
    _delete_evaluations(connection, damage)
    edits, costs = read_edits(connection, run, name).rows, read_costs(connection, run, name).rows
    for table, rows in ((EDIT, edits), (COST, costs)):
        replace_rows(connection, table, run, rows)
    evaluations = read_evaluations(connection, run, name).rows
    totals = {
        _total(table): total_of(row["digest"] for row in rows)
        for table, rows in ((EVALUATION, evaluations), (EDIT, edits), (COST, costs))
    }
    values = {**totals, "digest": run_digest({**run, **totals})}
    connection.execute(RUN.update().where(RUN.c.id == run["id"]).values(values))


def _total(table: Table) -> str:
    return f"{table.name}_total"


def _delete_evaluations(connection: Connection, damage: Iterable[Damage]) -> None:
    for one in damage:
        if one.kind is DamageKind.EVALUATION and one.row is not None:
            connection.execute(EVALUATION.delete().where(EVALUATION.c.id == one.row["id"]))


def _copy(folder: Path, damage: Damage) -> None:
    """Writes a damaged row as it was read."""
    assert damage.row is not None
    content = {"problem": damage.sentence, "row": damage.row}
    with replacing(_free(folder, damage.kind.value, ".json")) as temporary:
        temporary.write_text(json.dumps(content, indent=2, default=repr) + "\n", encoding="utf-8")


def _free(folder: Path, stem: str, suffix: str) -> Path:
    """Returns a path in a folder, which is created, that no file has yet."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while (path := folder / f"{stem}-{number}{suffix}").exists():
        number += 1
    return path
