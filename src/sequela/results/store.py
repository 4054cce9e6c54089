"""The store for the results of a run: measurements in a database, per-item records in Parquet.

Evaluations are written atomically: the row, the measurements and the item file appear together, so a run that
is stopped at any moment leaves only finished evaluations. What is read is checked: a row or a file that is
not the one that was written is an error that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, func, select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from sequela.core.damaged_files import UNREADABLE, naming_file
from sequela.core.errors import IntegrityError as BrokenFileError
from sequela.core.errors import SequelaError
from sequela.core.paths import replacing
from sequela.results.cost_record import CostRecord
from sequela.results.database import Database, StoredRun, run_row, runs_in
from sequela.results.digests import changed_total, run_digest
from sequela.results.edit_record import EditRecord
from sequela.results.evaluation_key import EvaluationKey
from sequela.results.item_files import item_file, read_items, sha256_of
from sequela.results.item_record import ItemRecord
from sequela.results.location import ITEMS_FOLDER, open_run_database
from sequela.results.measurement import Measurement
from sequela.results.query import Query, matches, ordered
from sequela.results.removal import Kept, remove_item_files, remove_rows
from sequela.results.repair import find_damage, set_aside
from sequela.results.rows import (
    cost_of,
    cost_row,
    edit_of,
    edit_row,
    evaluation_row,
    key_of,
    measurement_of,
    measurement_row,
)
from sequela.results.schema import COST, EDIT, EVALUATION, MEASUREMENT, RUN
from sequela.results.stored_rows import (
    AT_ONCE,
    Damage,
    DamageKind,
    evaluation_problem,
    read_costs,
    read_edits,
    read_evaluations,
    read_measurements,
    refuse,
)

Row = Mapping[str, Any]


def open_store(folder: Path, create: bool = False, name: str = "", upgrade: bool = False) -> ResultsStore:
    """Opens the results of a run, which are in its folder or in the database that its folder names.

    Args:
        folder: The run's folder.
        create: Whether to create an empty store if there is none (in the database that `SEQUELA_DATABASE`
            names, or in the folder), and to upgrade a store of an earlier schema version in place. Without
            it, such a store is upgraded in memory and the file stays unchanged.
        name: The name of the study, for a new store; empty to take that of the folder.
        upgrade: Whether to upgrade a store of an earlier schema version in place, as is needed to write into
            it, without creating one.

    Raises:
        SequelaError: There is no store and `create` is False, the database can't be reached or is not a
            results database, or its schema version is not supported.
    """
    return ResultsStore(folder, open_run_database(folder, create, name, upgrade))


class ResultsStore:
    """The results of a run; opened by `open_store`, closed by `close` or at the end of a `with` block.

    Any number of processes may read and write at the same time.

    Args:
        folder: The run's folder.
        database: Its database.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self._database = database

    def __enter__(self) -> ResultsStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the database."""
        self._database.engine.dispose()

    @property
    def database(self) -> str:
        """The name of the database in messages: the file, or the address without a password."""
        return self._database.name

    @property
    def run_id(self) -> str:
        """The id of the run in the database."""
        return self._database.run_id

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for users about how the database is kept."""
        return self._database.notes

    def runs(self) -> list[StoredRun]:
        """Returns all runs in the database, the oldest first; a run's own folder has one."""
        with self._reading() as (connection, _):
            return runs_in(connection)

    # Evaluations

    def has(self, key: EvaluationKey) -> bool:
        """Returns whether this evaluation is finished.

        Raises:
            IntegrityError: Its row is damaged.
        """
        with self._reading() as (connection, _):
            return self._find(connection, key) is not None

    def write_evaluation(
        self,
        key: EvaluationKey,
        measurements: Sequence[Measurement],
        items: Sequence[ItemRecord] = (),
        costs: Sequence[CostRecord] = (),
    ) -> None:
        """Writes a finished evaluation atomically, with what it has cost.

        A NaN is stored as None with a note, because SQLite has no NaN.

        Args:
            key: The key of the evaluation.
            measurements: The measurements, all of the key's suite and checkpoint.
            items: The per-item records behind them.
            costs: The costs of the evaluation.

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
        rows = [measurement_row(one) for one in measurements]
        content = item_file(items) if items else b""
        is_placed = False
        try:
            with self._writing() as (connection, run):
                number = _next_number(connection, EVALUATION, run)
                sha256 = sha256_of(content) if items else ""
                row = evaluation_row(run["id"], number, key, (len(items), sha256), rows)
                inserted = connection.execute(EVALUATION.insert(), row)
                assert inserted.inserted_primary_key is not None
                (row_id,) = inserted.inserted_primary_key
                if rows:
                    connection.execute(
                        MEASUREMENT.insert(), [{**one, "evaluation_id": row_id} for one in rows]
                    )
                run = _change_totals(connection, run, EVALUATION, added=[row["digest"]])
                _insert_costs(connection, run, costs)
                # A second evaluation with the same key has failed above, before it could overwrite the file
                # of the first one.
                if items:
                    is_placed = True
                    with replacing(self._items_path(key)) as temporary:
                        temporary.write_bytes(content)
        except BaseException as error:
            if is_placed:
                self._remove_unwritten(key)
            if isinstance(error, IntegrityError):
                raise SequelaError(
                    f"Results of {key.suite!r} after {key.n_edits} edits of {key.trajectory} exist already.",
                    hint="Results are never replaced; check with `has` first.",
                ) from error
            raise _in_words(self, error) from error

    def evaluations(self) -> list[EvaluationKey]:
        """Returns the keys of all finished evaluations in the order in which they finished.

        If an evaluation was rescored, only the newest version is included.

        Raises:
            IntegrityError: An evaluation is damaged, or evaluations are missing.
        """
        with self._reading() as (connection, run):
            return [key_of(row) for row in _newest(read_evaluations(connection, run, self.database).whole())]

    def count_evaluations(self) -> int:
        """Returns the number of finished evaluations; a rescored evaluation counts once.

        Raises:
            IntegrityError: An evaluation is damaged, or evaluations are missing.
        """
        return len(self.evaluations())

    def measurements(self, query: Query | None = None, key: EvaluationKey | None = None) -> list[Measurement]:
        """Returns measurements in a stable order (see `query.ordered`).

        If an evaluation was rescored, only the newest version is included.

        Args:
            query: The filter; None for all measurements.
            key: The only evaluation to include, in exactly this version; None for all.

        Raises:
            IntegrityError: An evaluation is damaged, or evaluations are missing.
        """
        query = query or Query()
        with self._reading() as (connection, run):
            if key is not None:
                found = self._find(connection, key)
                evaluations = [] if found is None else [found]
            else:
                evaluations = _newest(read_evaluations(connection, run, self.database).whole())
            wanted = [
                row
                for row in evaluations
                if query.suite in (None, row["suite"]) and query.n_edits in (None, row["n_edits"])
            ]
            rows, damage = read_measurements(connection, wanted, self.database)
            refuse(damage)
            found_ones = [measurement_of(row) for one in wanted for row in rows[one["id"]]]
        return ordered(one for one in found_ones if matches(one, query))

    def items(self, key: EvaluationKey) -> list[ItemRecord]:
        """Returns the per-item records of an evaluation.

        Raises:
            SequelaError: There is no such evaluation.
            IntegrityError: The evaluation is damaged, or the item file is missing or damaged.
        """
        with self._reading() as (connection, _):
            row = self._find(connection, key)
        if row is None:
            raise SequelaError(
                f"There are no results for the suite {key.suite!r} after {key.n_edits} edits "
                f"of {key.trajectory} in {self.folder}."
            )
        if row["n_items"] == 0:
            return []
        path = self._items_path(key)
        items = read_items(path, row["items_sha256"])
        if len(items) != row["n_items"]:
            raise BrokenFileError(f"{path} has {len(items)} records, but {row['n_items']} were written.")
        return items

    # Edits and costs

    def write_edit_records(self, records: Iterable[EditRecord]) -> None:
        """Writes edit records; the record of a reapplied edit replaces the earlier one.

        Raises:
            SequelaError: Writing failed.
        """
        rows = {(one.trajectory, one.position): edit_row(self.run_id, one) for one in records}

        def write(connection: Connection, run: Row) -> None:
            replaced = _take_edits(connection, run, list(rows))
            if rows:
                connection.execute(EDIT.insert(), list(rows.values()))
            added = [row["digest"] for row in rows.values()]
            _change_totals(connection, run, EDIT, added=added, removed=replaced)

        self._write(write)

    def write_cost(self, *records: CostRecord) -> None:
        """Writes the costs of steps.

        Raises:
            SequelaError: Writing failed.
        """
        self._write(lambda connection, run: _insert_costs(connection, run, records))

    def discard_costs(self, step: str, trajectory: str, after: int) -> None:
        """Deletes the costs of a step after a number of edits; these edits are applied and counted again.

        Args:
            step: The step.
            trajectory: The trajectory's hash.
            after: The number of edits up to which costs are kept.

        Raises:
            IntegrityError: A cost is damaged, or costs are missing.
            SequelaError: Writing failed.
        """

        def write(connection: Connection, run: Row) -> None:
            removed = []
            for row in read_costs(connection, run, self.database).whole():
                cost = cost_of(row)
                if (cost.step, cost.trajectory) == (step, trajectory) and (cost.n_edits or 0) > after:
                    own = (COST.c.run_id == run["id"]) & (COST.c.number == row["number"])
                    connection.execute(COST.delete().where(own))
                    removed.append(row["digest"])
            if removed:
                _change_totals(connection, run, COST, removed=removed)

        self._write(write)

    def edit_records(self, trajectory: str | None = None) -> list[EditRecord]:
        """Returns the edit records, trajectory by trajectory, in the order in which the edits were applied.

        Args:
            trajectory: The only trajectory to include; None for all.

        Raises:
            IntegrityError: A record is damaged, or records are missing.
        """
        with self._reading() as (connection, run):
            rows = read_edits(connection, run, self.database, trajectory).whole()
            return [edit_of(row) for row in rows]

    def costs(self) -> list[CostRecord]:
        """Returns the cost of each step, in the order in which the steps were done.

        Raises:
            IntegrityError: A cost is damaged, or costs are missing.
        """
        with self._reading() as (connection, run):
            return [cost_of(row) for row in read_costs(connection, run, self.database).whole()]

    # Damage

    def damage(self) -> list[Damage]:
        """Returns everything in the store that is not what was written; reads all rows and item files.

        Raises:
            IntegrityError: The database is damaged in a way that no row can be read.
        """
        with self._reading() as (connection, run):
            return find_damage(connection, run, self.database, self._items_path)

    def set_aside(self, damage: Sequence[Damage]) -> None:
        """Takes damaged evaluations, edits and costs out of the store, into the folder `damaged` of the run.

        The evaluations count as not done then. Edits have to be applied again, from the first one of their
        trajectory, or of all trajectories if the damage doesn't say which.

        Args:
            damage: The damage that `damage` found.

        Raises:
            SequelaError: Writing failed.
        """
        if damage:
            self._write(
                lambda connection, run: set_aside(
                    connection, run, self.database, damage, self.folder, self._items_path
                )
            )

    # Removal

    def retain(self, kept: Kept) -> int:
        """Removes all results but some, in one transaction; then the files of items that are left over.

        Args:
            kept: What stays.

        Returns:
            The number of evaluations that were removed.

        Raises:
            IntegrityError: Results are damaged; see `damage`.
            SequelaError: Writing failed.
        """
        removed = 0

        def remove(connection: Connection, run: Row) -> None:
            nonlocal removed
            removed = remove_rows(connection, run, self.database, kept)

        def clear(connection: Connection, run: Row) -> None:
            rows = read_evaluations(connection, run, self.database).whole()
            remove_item_files(self.folder / ITEMS_FOLDER, map(key_of, rows))

        self._write(remove)
        self._write(clear)  # files go after the rows that name them, and while nobody else writes
        return removed

    @contextmanager
    def _reading(self) -> Iterator[tuple[Connection, Row]]:
        """Opens a connection with the row of the run; its errors name the database."""
        errors = (*UNREADABLE, SQLAlchemyError)
        with (
            naming_file(Path(self.database), "results", errors=errors),
            self._database.reading() as connection,
        ):
            yield connection, run_row(connection, self._database)

    @contextmanager
    def _writing(self) -> Iterator[tuple[Connection, Row]]:
        """Opens a connection that writes, with the row of the run, which other writers have to wait for."""
        with self._database.writing() as connection:
            yield connection, run_row(connection, self._database, lock=True)

    def _write(self, write: Callable[[Connection, Row], None]) -> None:
        try:
            with self._writing() as (connection, run):
                write(connection, run)
        except (SQLAlchemyError, OSError) as error:
            raise _in_words(self, error) from error

    def _find(self, connection: Connection, key: EvaluationKey) -> dict[str, Any] | None:
        """Returns the row of an evaluation.

        Raises:
            IntegrityError: It is damaged.
        """
        wanted = {"run_id": self.run_id, **key.model_dump()}
        found = connection.execute(select(EVALUATION).filter_by(**wanted)).mappings().first()
        if found is None:
            return None
        row = dict(found)
        problem = evaluation_problem(row, self.database)
        refuse([Damage(DamageKind.EVALUATION, problem)] if problem else [])
        return row

    def _remove_unwritten(self, key: EvaluationKey) -> None:
        """Removes the item file of an evaluation unless the evaluation is in the database.

        An interrupt may come before or after the moment at which the database has committed. A file that
        stays because the database can't be asked does no harm: the evaluation will replace it.
        """
        with suppress(SQLAlchemyError, SequelaError, OSError), self._writing() as (connection, _):
            if self._find(connection, key) is None:
                self._items_path(key).unlink(missing_ok=True)

    def _items_path(self, key: EvaluationKey) -> Path:
        return self.folder / ITEMS_FOLDER / f"{key.content_hash}.parquet"


def _newest(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the rows of evaluations that no rescoring of the same answers has replaced."""
    newest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        same_answers = (row["trajectory"], row["n_edits"], row["suite"], row["model_hash"])
        newest.pop(same_answers, None)  # the order is that of the newest
        newest[same_answers] = row
    return list(newest.values())


def _insert_costs(connection: Connection, run: Row, records: Sequence[CostRecord]) -> None:
    first = _next_number(connection, COST, run)
    rows = [cost_row(run["id"], number, one) for number, one in enumerate(records, start=first)]
    if rows:
        connection.execute(COST.insert(), rows)
    _change_totals(connection, run, COST, added=[row["digest"] for row in rows])


def _next_number(connection: Connection, table: Table, run: Row) -> int:
    statement = select(func.coalesce(func.max(table.c.number), 0)).where(table.c.run_id == run["id"])
    return int(connection.execute(statement).scalar_one()) + 1


def _take_edits(connection: Connection, run: Row, places: Sequence[tuple[str, int]]) -> list[str]:
    """Deletes the records of edits, as far as there are any, and returns their digests."""
    digests: list[str] = []
    for trajectory in dict.fromkeys(trajectory for trajectory, _ in places):
        positions = [position for of, position in places if of == trajectory]
        for start in range(0, len(positions), AT_ONCE):
            own = (
                (EDIT.c.run_id == run["id"])
                & (EDIT.c.trajectory == trajectory)
                & EDIT.c.position.in_(positions[start : start + AT_ONCE])
            )
            digests += connection.execute(select(EDIT.c.digest).where(own)).scalars()
            connection.execute(EDIT.delete().where(own))
    return digests


def _change_totals(
    connection: Connection, run: Row, table: Table, added: Iterable[str] = (), removed: Iterable[str] = ()
) -> Row:
    """Updates the row of a run after rows were added or removed; returns it as it is now."""
    name = f"{table.name}_total"
    changed = {**run, name: changed_total(run[name], added, removed)}
    values = {name: changed[name], "digest": run_digest(changed)}
    connection.execute(RUN.update().where(RUN.c.id == run["id"]).values(values))
    return {**run, **values}


def _in_words(store: ResultsStore, error: BaseException) -> BaseException:
    """Returns the error of a failed write as one for users; errors of other kinds as they are."""
    if not isinstance(error, SQLAlchemyError | OSError):
        return error
    reason = str(getattr(error, "orig", None) or error).strip()
    return SequelaError(
        f"Can't write results to {store.folder}: {reason}.",
        hint="Check that the disk has space and that no other run writes there. Earlier results are kept.",
    )
