"""Removing results that are no longer those of a run's study."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Table

from sequela.results.cost_record import CostRecord
from sequela.results.digests import Row, run_digest, total_of
from sequela.results.evaluation_key import EvaluationKey
from sequela.results.rows import cost_of, key_of
from sequela.results.schema import COST, EDIT, EVALUATION, RUN
from sequela.results.stored_rows import read_costs, read_edits, read_evaluations, replace_rows


@dataclass(frozen=True)
class Kept:
    """The results of a run that stay when others are removed.

    Args:
        evaluation: Returns whether an evaluation stays.
        edit: Returns whether the record of an edit stays, by its trajectory and position.
        cost: Returns whether a cost stays.
    """

    evaluation: Callable[[EvaluationKey], bool]
    edit: Callable[[str, int], bool]
    cost: Callable[[CostRecord], bool]


def remove_rows(connection: Connection, run: Row, name: str, kept: Kept) -> int:
    """Deletes the rows that don't stay; returns the number of evaluations among them.

    Args:
        connection: The database, within a transaction.
        run: The row of the run.
        name: What messages call the database.
        kept: What stays.

    Raises:
        IntegrityError: A row is damaged, or rows are missing.
    """
    evaluations = read_evaluations(connection, run, name).whole()
    edits = read_edits(connection, run, name).whole()
    costs = read_costs(connection, run, name).whole()
    staying: list[Row] = []
    for row in evaluations:
        if kept.evaluation(key_of(row)):
            staying.append(row)
        else:
            connection.execute(EVALUATION.delete().where(EVALUATION.c.id == row["id"]))
    left: dict[Table, list[Row]] = {
        EVALUATION: staying,
        EDIT: [row for row in edits if kept.edit(row["trajectory"], row["position"])],
        COST: [row for row in costs if kept.cost(cost_of(row))],
    }
    for table in (EDIT, COST):
        replace_rows(connection, table, run, left[table])
    totals = {f"{table.name}_total": total_of(row["digest"] for row in rows) for table, rows in left.items()}
    values = {**totals, "digest": run_digest({**run, **totals})}
    connection.execute(RUN.update().where(RUN.c.id == run["id"]).values(values))
    return len(evaluations) - len(staying)


def remove_item_files(folder: Path, evaluations: Iterable[EvaluationKey]) -> None:
    """Deletes the item files that no evaluation has, such as those of a removal that was interrupted.

    Args:
        folder: The folder of the item files; it need not exist.
        evaluations: All evaluations of the run, rescored ones too.
    """
    named = {key.content_hash for key in evaluations}
    for path in folder.glob("*.parquet"):
        if path.stem not in named:
            path.unlink(missing_ok=True)
