"""The store for the results of a run: measurements in SQLite, per-item records in Parquet.

Evaluations are written atomically: the row, the measurements and the item file appear together, so a run that
is stopped at any moment leaves only finished evaluations.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel
from sqlalchemy import Engine, Select, func, select
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from sequela.core.damaged_files import UNREADABLE, naming_file
from sequela.core.errors import IntegrityError as BrokenFileError
from sequela.core.errors import SequelaError
from sequela.results.cost_record import CostRecord
from sequela.results.database import create_database, open_database
from sequela.results.edit_record import EditRecord
from sequela.results.evaluation_key import EvaluationKey
from sequela.results.item_files import read_items, write_items
from sequela.results.item_record import ItemRecord
from sequela.results.measurement import Measurement
from sequela.results.query import Query, ordered
from sequela.results.schema import (
    Base,
    CostRow,
    EditRow,
    EvaluationRow,
    MeasurementRow,
)

DATABASE_NAME = "results.sqlite"
ITEMS_FOLDER = "items"


def open_store(folder: Path, create: bool = False) -> ResultsStore:
    """Opens the results in a run's folder.

    Args:
        folder: The run's folder.
        create: Whether to create an empty store if there is none, and to upgrade a store of an earlier schema
            version in place. Without it, such a store is upgraded in memory and the file stays unchanged.

    Raises:
        SequelaError: There is no store and `create` is False, the file is not a results database, or its
            schema version is not supported.
    """
    path = folder / DATABASE_NAME
    if not path.is_file():
        if not create:
            raise SequelaError(
                f"There are no results in {folder}: it has no {DATABASE_NAME}.",
                hint="Give the folder of a run, as printed at the end of `sequela run`.",
            )
        create_database(path)
    return ResultsStore(folder, open_database(path, write=create))


class ResultsStore:
    """The results of a run; opened by `open_store`, closed by `close` or at the end of a `with` block.

    Args:
        folder: The run's folder.
        engine: The connection to its database.
    """

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder = folder
        self._engine = engine

    def __enter__(self) -> ResultsStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the database."""
        self._engine.dispose()

    # Evaluations

    def has(self, key: EvaluationKey) -> bool:
        """Returns whether this evaluation is finished."""
        with self._reading() as session:
            return _find(session, key) is not None

    def write_evaluation(
        self, key: EvaluationKey, measurements: Sequence[Measurement], items: Sequence[ItemRecord] = ()
    ) -> None:
        """Writes a finished evaluation atomically.

        A NaN is stored as None with a note, because SQLite has no NaN.

        Args:
            key: The key of the evaluation.
            measurements: The measurements, all of the key's suite and checkpoint.
            items: The per-item records behind them.

        Raises:
            ValueError: A measurement belongs to another suite or checkpoint.
            SequelaError: The store has this evaluation already, or writing failed.
        """
        for measurement in measurements:
            if (measurement.suite, measurement.n_edits) != (key.suite, key.n_edits):
                raise ValueError(
                    f"A measurement of {measurement.suite!r} after {measurement.n_edits} edits was given "
                    f"for an evaluation of {key.suite!r} after {key.n_edits}."
                )
        path = self._items_path(key)
        row = EvaluationRow(**key.model_dump(), n_items=len(items))
        row.measurements = [MeasurementRow(**_without_nan(one).model_dump()) for one in measurements]
        wrote_items = False
        try:
            with Session(self._engine) as session, session.begin():
                session.add(row)
                # The rows come first because they acquire the write lock: a second evaluation with the
                # same key fails here, before it can overwrite the first one's file.
                session.flush()
                if items:
                    wrote_items = True
                    write_items(path, items)
        except BaseException as error:
            if wrote_items:
                path.unlink(missing_ok=True)
            if isinstance(error, IntegrityError):
                raise SequelaError(
                    f"Results of {key.suite!r} after {key.n_edits} edits of {key.trajectory} exist already.",
                    hint="Results are never replaced; check with `has` first.",
                ) from error
            if isinstance(error, OperationalError | OSError):
                raise _not_written(self.folder, error) from error
            raise

    def evaluations(self) -> list[EvaluationKey]:
        """Returns the keys of all finished evaluations in the order in which they finished.

        If an evaluation was rescored, only the newest version is included.
        """
        with self._reading() as session:
            newest = select(EvaluationRow).where(EvaluationRow.id.in_(_newest()))
            return [_key_of(row) for row in session.scalars(newest.order_by(EvaluationRow.id))]

    def count_evaluations(self) -> int:
        """Returns the number of finished evaluations; a rescored evaluation counts once."""
        with self._reading() as session:
            return session.scalar(select(func.count()).select_from(_newest().subquery())) or 0

    def measurements(self, query: Query | None = None, key: EvaluationKey | None = None) -> list[Measurement]:
        """Returns measurements in a stable order (see `query.ordered`).

        If an evaluation was rescored, only the newest version is included.

        Args:
            query: The filter; None for all measurements.
            key: The only evaluation to include, in exactly this version; None for all.
        """
        statement = select(MeasurementRow)
        for name, value in vars(query or Query()).items():
            if value is not None:
                statement = statement.where(getattr(MeasurementRow, name) == value)
        with self._reading() as session:
            if key is not None:
                row = _find(session, key)
                statement = statement.where(MeasurementRow.evaluation_id == (row.id if row else None))
            else:
                statement = statement.where(MeasurementRow.evaluation_id.in_(_newest()))
            rows = session.scalars(statement.order_by(MeasurementRow.id))
            return ordered(_measurement_of(row) for row in rows)

    def items(self, key: EvaluationKey) -> list[ItemRecord]:
        """Returns the per-item records of an evaluation.

        Raises:
            SequelaError: There is no such evaluation.
            IntegrityError: The item file is missing, or its number of records is wrong.
        """
        with self._reading() as session:
            row = _find(session, key)
            n_items = None if row is None else row.n_items
        if n_items is None:
            raise SequelaError(
                f"There are no results for the suite {key.suite!r} after {key.n_edits} edits "
                f"of {key.trajectory} in {self.folder}."
            )
        if n_items == 0:
            return []
        path = self._items_path(key)
        items = read_items(path)
        if len(items) != n_items:
            raise BrokenFileError(f"{path} has {len(items)} records, but {n_items} were written.")
        return items

    # Edits and costs

    def write_edit_records(self, records: Iterable[EditRecord]) -> None:
        """Writes edit records; the record of a reapplied edit replaces the earlier one.

        Raises:
            SequelaError: Writing failed.
        """
        self._merge(_row_of(one) for one in records)

    def write_cost(self, *records: CostRecord) -> None:
        """Writes the costs of steps.

        Raises:
            SequelaError: Writing failed.
        """
        self._merge(CostRow(record=_to_json(one)) for one in records)

    def discard_costs(self, step: str, trajectory: str, after: int) -> None:
        """Deletes the costs of a step after a number of edits; these edits are applied and counted again.

        Args:
            step: The step.
            trajectory: The trajectory's hash.
            after: The number of edits up to which costs are kept.

        Raises:
            SequelaError: Writing failed.
        """
        try:
            with Session(self._engine) as session, session.begin():
                for row in session.scalars(select(CostRow)):
                    cost = CostRecord.model_validate(json.loads(row.record))
                    if (cost.step, cost.trajectory) == (step, trajectory) and (cost.n_edits or 0) > after:
                        session.delete(row)
        except OperationalError as error:
            raise _not_written(self.folder, error) from error

    def edit_records(self, trajectory: str | None = None) -> list[EditRecord]:
        """Returns the edit records, trajectory by trajectory, in the order in which the edits were applied.

        Args:
            trajectory: The only trajectory to include; None for all.
        """
        statement = select(EditRow).order_by(EditRow.trajectory, EditRow.position)
        if trajectory is not None:
            statement = statement.where(EditRow.trajectory == trajectory)
        with self._reading() as session:
            return [EditRecord.model_validate(json.loads(row.record)) for row in session.scalars(statement)]

    def costs(self) -> list[CostRecord]:
        """Returns the cost of each step, in the order in which the steps were done."""
        with self._reading() as session:
            rows = session.scalars(select(CostRow).order_by(CostRow.id))
            return [CostRecord.model_validate(json.loads(row.record)) for row in rows]

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        """Opens a session whose errors name the database."""
        path = self.folder / DATABASE_NAME
        with (
            naming_file(path, "results", errors=(*UNREADABLE, SQLAlchemyError)),
            Session(self._engine) as session,
        ):
            yield session

    def _merge(self, rows: Iterable[Base]) -> None:
        try:
            with Session(self._engine) as session, session.begin():
                for row in rows:
                    session.merge(row)
        except OperationalError as error:
            raise _not_written(self.folder, error) from error

    def _items_path(self, key: EvaluationKey) -> Path:
        return self.folder / ITEMS_FOLDER / f"{key.content_hash}.parquet"


def _row_of(record: EditRecord) -> EditRow:
    return EditRow(trajectory=record.trajectory, position=record.position, record=_to_json(record))


def _to_json(record: BaseModel) -> str:
    # Not `model_dump_json`, which would turn the NaN of a diverged loss into null.
    return json.dumps(record.model_dump())


def _find(session: Session, key: EvaluationKey) -> EvaluationRow | None:
    return session.scalar(select(EvaluationRow).filter_by(**key.model_dump()))


def _newest() -> Select[int]:
    """Selects the ids of evaluations that no rescoring of the same answers has replaced."""
    same_answers = (
        EvaluationRow.trajectory,
        EvaluationRow.n_edits,
        EvaluationRow.suite,
        EvaluationRow.model_hash,
    )
    return select(func.max(EvaluationRow.id)).group_by(*same_answers)


def _key_of(row: EvaluationRow) -> EvaluationKey:
    return EvaluationKey.model_validate(row, from_attributes=True)


def _measurement_of(row: MeasurementRow) -> Measurement:
    return Measurement.model_validate(row, from_attributes=True)


def _without_nan(measurement: Measurement) -> Measurement:
    names = ("value", "stderr", "baseline")
    invalid = [name for name in names if _is_nan(getattr(measurement, name))]
    if not invalid:
        return measurement
    notes = [measurement.note] if measurement.note else []
    notes.append(f"{' and '.join(invalid)}: not a number")
    return measurement.model_copy(update={**dict.fromkeys(invalid), "note": "; ".join(notes)})


def _is_nan(value: float | None) -> bool:
    return value is not None and math.isnan(value)


def _not_written(folder: Path, error: Exception) -> SequelaError:
    reason = getattr(error, "orig", None) or error
    return SequelaError(
        f"Can't write results to {folder}: {reason}.",
        hint="Check that the disk has space and that no other run writes there. Earlier results are kept.",
    )
