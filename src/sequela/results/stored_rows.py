"""Rows of a run, read from the database and checked by their digests.

Each reader returns the rows that are what was written, and the damage that it found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import Connection, Select, Table, select

from sequela.core.errors import IntegrityError
from sequela.results.digests import (
    Row,
    cost_digest,
    edit_digest,
    evaluation_digest,
    measurements_digest,
    record_digest,
    total_of,
)
from sequela.results.evaluation_key import EvaluationKey
from sequela.results.rows import edit_of, key_of
from sequela.results.schema import COST, EDIT, EVALUATION, MEASUREMENT

AT_ONCE = 500
"""The number of rows that a query names at once."""

MEASURE_AGAIN = "Run the study again in this folder: what is damaged is set aside and measured again."


class DamageKind(str, Enum):
    """The kind of content that is damaged."""

    EVALUATION = "evaluation"
    EDIT = "edit"
    COST = "cost"


@dataclass(frozen=True)
class Damage:
    """Something in a store that is not what was written.

    Args:
        kind: The kind.
        sentence: What is damaged, without a full stop.
        key: The key of a damaged evaluation; None if it is unknown.
        trajectory: The trajectory of a damaged record of an edit; None if it is unknown.
        row: The row as it was read; None if rows are missing.
    """

    kind: DamageKind
    sentence: str
    key: EvaluationKey | None = None
    trajectory: str | None = None
    row: Row | None = None


@dataclass(frozen=True)
class CheckedRows:
    """Rows of a run.

    Args:
        rows: Those that are what was written.
        damage: The others.
    """

    rows: list[dict[str, Any]]
    damage: tuple[Damage, ...] = ()

    def whole(self) -> list[dict[str, Any]]:
        """Returns the rows.

        Raises:
            IntegrityError: One is damaged, or rows are missing.
        """
        refuse(self.damage)
        return self.rows


def refuse(damage: Sequence[Damage]) -> None:
    """Raises the error about damage, if there is any.

    Raises:
        IntegrityError: There is.
    """
    if damage:
        others = f" (and {len(damage) - 1} more damaged parts)" if len(damage) > 1 else ""
        raise IntegrityError(f"{damage[0].sentence}{others}.", hint=MEASURE_AGAIN)


def read_evaluations(connection: Connection, run: Row, name: str) -> CheckedRows:
    """Returns the rows of all evaluations of a run in the order in which they finished.

    Args:
        connection: The database.
        run: The row of the run.
        name: What messages call the database.
    """
    statement = select(EVALUATION).where(EVALUATION.c.run_id == run["id"]).order_by(EVALUATION.c.number)
    good, damage = [], []
    for row in _rows(connection, statement):
        if problem := evaluation_problem(row, name):
            damage.append(Damage(DamageKind.EVALUATION, problem, row=row))
        else:
            good.append(row)
    if not damage and total_of(row["digest"] for row in good) != run["evaluation_total"]:
        sentence = f"{name}: evaluations are missing, or are not the ones that were written"
        damage.append(Damage(DamageKind.EVALUATION, sentence))
    return CheckedRows(good, tuple(damage))


def evaluation_problem(row: Row, name: str) -> str:
    """Returns what is wrong with the row of an evaluation, without its measurements; empty if nothing is."""
    return "" if evaluation_digest(row) == row["digest"] else f"{_evaluation(row, name)} is damaged"


def read_measurements(
    connection: Connection, evaluations: Sequence[Row], name: str
) -> tuple[dict[int, list[dict[str, Any]]], tuple[Damage, ...]]:
    """Returns the rows of the measurements of evaluations by the evaluation's id, and the damage.

    Args:
        connection: The database.
        evaluations: The rows of the evaluations, which are checked.
        name: What messages call the database.
    """
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    ids = [row["id"] for row in evaluations]
    for some in _in_parts(ids):
        statement = select(MEASUREMENT).where(MEASUREMENT.c.evaluation_id.in_(some))
        for row in _rows(connection, statement.order_by(MEASUREMENT.c.id)):
            found[row["evaluation_id"]].append(row)
    damage = tuple(
        Damage(
            DamageKind.EVALUATION,
            f"{_evaluation(row, name)} is damaged: its measurements are not the ones that were written",
            key_of(row),
            row=row,
        )
        for row in evaluations
        if measurements_digest(found[row["id"]]) != row["measurements_digest"]
    )
    return found, damage


def read_edits(connection: Connection, run: Row, name: str, trajectory: str | None = None) -> CheckedRows:
    """Returns the rows of edits, trajectory by trajectory, in the order in which they were applied.

    Args:
        connection: The database.
        run: The row of the run.
        name: What messages call the database.
        trajectory: The only trajectory whose rows are wanted; None for all.
    """
    statement = select(EDIT).where(EDIT.c.run_id == run["id"])
    if trajectory is not None:
        # A damaged row may have lost its trajectory, so the others are checked too, without their records.
        columns = [column for column in EDIT.c if column.name != "record"]
        others = _edit_identities(connection, run, name, columns)
        if others:
            return CheckedRows([], others)
        statement = statement.where(EDIT.c.trajectory == trajectory)
    good, damage = [], []
    for row in _rows(connection, statement):
        is_placed = edit_digest(row) == row["digest"]
        if is_placed and record_digest(row["record"]) == row["record_digest"]:
            good.append(row)
        else:
            damage.append(_damaged_edit(row, name, is_placed))
    if trajectory is None and not damage:
        damage += _missing_edits(run, name, good)
    good.sort(key=lambda row: (row["trajectory"], row["position"]))
    return CheckedRows(good, tuple(damage))


def read_costs(connection: Connection, run: Row, name: str) -> CheckedRows:
    """Returns the rows of the costs of a run in the order in which the steps were done.

    Args:
        connection: The database.
        run: The row of the run.
        name: What messages call the database.
    """
    statement = select(COST).where(COST.c.run_id == run["id"]).order_by(COST.c.number)
    good, damage = [], []
    for row in _rows(connection, statement):
        if cost_digest(row) == row["digest"]:
            good.append(row)
        else:
            sentence = f"{name}: the cost number {row['number']!a} is damaged"
            damage.append(Damage(DamageKind.COST, sentence, row=row))
    if not damage and total_of(row["digest"] for row in good) != run["cost_total"]:
        sentence = f"{name}: costs are missing, or are not the ones that were written"
        damage.append(Damage(DamageKind.COST, sentence))
    return CheckedRows(good, tuple(damage))


def replace_rows(connection: Connection, table: Table, run: Row, rows: Sequence[Row]) -> None:
    """Writes the rows of a table that belong to a run anew."""
    connection.execute(table.delete().where(table.c.run_id == run["id"]))
    if rows:
        connection.execute(table.insert(), [dict(row) for row in rows])


def _edit_identities(
    connection: Connection, run: Row, name: str, columns: Collection[Any]
) -> tuple[Damage, ...]:
    rows = _rows(connection, select(*columns).where(EDIT.c.run_id == run["id"]))
    damage = [
        Damage(DamageKind.EDIT, f"{_edit(row, name)} is damaged", row=row)
        for row in rows
        if edit_digest(row) != row["digest"]
    ]
    return tuple(damage or _missing_edits(run, name, rows))


def _missing_edits(run: Row, name: str, rows: Iterable[Row]) -> list[Damage]:
    if total_of(row["digest"] for row in rows) == run["edit_total"]:
        return []
    sentence = f"{name}: records of edits are missing, or are not the ones that were written"
    return [Damage(DamageKind.EDIT, sentence)]


def _damaged_edit(row: Row, name: str, is_placed: bool) -> Damage:
    """Returns the damage of an edit; its trajectory is known from its row or from its record."""
    trajectory = row["trajectory"] if is_placed else None
    if not is_placed and record_digest(row["record"]) == row["record_digest"]:
        trajectory = edit_of(row).trajectory
    return Damage(DamageKind.EDIT, f"{_edit(row, name)} is damaged", trajectory=trajectory, row=row)


def _evaluation(row: Row, name: str) -> str:
    suite, n_edits, trajectory = (ascii(row[column]) for column in ("suite", "n_edits", "trajectory"))
    return f"{name}: the evaluation of {suite} after {n_edits} edits of {trajectory}"


def _edit(row: Row, name: str) -> str:
    return f"{name}: the record of edit {row['position']!a} of {row['trajectory']!a}"


def _rows(connection: Connection, statement: Select[Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(statement).mappings()]


def _in_parts(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))
