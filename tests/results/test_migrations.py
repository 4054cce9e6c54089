"""Migrations of the results database, from runs that earlier commits wrote (see `tests/old_formats`)."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect

from sequela.core.errors import SequelaError
from sequela.core.hashing import sha256_of_file
from sequela.results import CostRecord, Measurement, Query, open_store
from sequela.results.earlier_schema import LAST_BEFORE_MIGRATIONS
from sequela.results.migrations import migrate
from sequela.results.schema import METADATA, SCHEMA_VERSION
from support.results import KEY, edit_record, measurement

OLD_FORMATS = Path(__file__).parents[1] / "old_formats"
OLD = OLD_FORMATS / "run_6"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "run"))


@pytest.fixture
def of_schema_7(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD_FORMATS / "run_7", tmp_path / "run"))


@pytest.fixture
def empty() -> Iterator[Connection]:
    with create_engine("sqlite://").connect() as connection:
        yield connection


def rows_of(path: Path, table: str) -> list[dict[str, object]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY rowid")]


def test_migrations_lead_to_the_tables_of_the_schema(empty: Connection) -> None:
    migrate(empty, 0, SCHEMA_VERSION)
    options = {"compare_type": True, "compare_server_default": True}
    assert compare_metadata(MigrationContext.configure(empty, opts=options), METADATA) == []


def test_the_first_migration_is_the_schema_before_migrations(empty: Connection) -> None:
    migrate(empty, 0, LAST_BEFORE_MIGRATIONS)
    made, real = inspect(empty), inspect(create_engine(f"sqlite:///{OLD / 'results.sqlite'}"))
    names = set(made.get_table_names()) - {"alembic_version"}
    assert names == set(real.get_table_names())
    for name in names:
        assert [(c["name"], str(c["type"]), c["nullable"]) for c in made.get_columns(name)] == [
            (c["name"], str(c["type"]), c["nullable"]) for c in real.get_columns(name)
        ]
        assert (
            made.get_pk_constraint(name)["constrained_columns"]
            == real.get_pk_constraint(name)["constrained_columns"]
        )
        assert [c["column_names"] for c in made.get_unique_constraints(name)] == [
            c["column_names"] for c in real.get_unique_constraints(name)
        ]
        assert [i["column_names"] for i in made.get_indexes(name)] == [
            i["column_names"] for i in real.get_indexes(name)
        ]


def test_a_run_of_schema_6_is_read_without_writing_and_upgraded_by_a_run(old: Path) -> None:
    path = old / "results.sqlite"
    before = {name: rows_of(path, name) for name in ("evaluation", "measurement", "edit", "cost")}
    content = path.read_bytes()
    with open_store(old) as store:
        read = (store.evaluations(), store.measurements(), store.edit_records(), store.costs())
        items = [store.items(key) for key in store.evaluations()]
        assert store.damage() == []
    assert path.read_bytes() == content
    with open_store(old, create=True) as store:
        assert (store.evaluations(), store.measurements(), store.edit_records(), store.costs()) == read
        assert [store.items(key) for key in store.evaluations()] == items
        assert store.damage() == []
        (run,) = store.runs()
    assert (run.name, run.folder) == ("run", str(old))

    for name, keys in (("measurement", before["measurement"][0]), ("edit", before["edit"][0])):
        now = [{column: row[column] for column in keys} for row in rows_of(path, name)]
        assert now == before[name]
    assert [row["record"] for row in rows_of(path, "cost")] == [row["record"] for row in before["cost"]]
    after = rows_of(path, "evaluation")
    assert [row["id"] for row in after] == [row["id"] for row in before["evaluation"]]
    assert {row["run_id"] for row in after} == {run.id}
    files = {sha256_of_file(file) for file in (old / "items").iterdir()}
    assert {row["items_sha256"] for row in after if row["n_items"]} == files
    assert rows_of(path, "store") == [{"id": 1, "schema_version": SCHEMA_VERSION}]


def test_a_run_of_schema_7_has_no_samples_and_keeps_its_digests(of_schema_7: Path) -> None:
    path = of_schema_7 / "results.sqlite"
    tables = ("run", "evaluation", "measurement", "edit", "cost")
    before, content = {name: rows_of(path, name) for name in tables}, path.read_bytes()
    assert rows_of(path, "store") == [{"id": 1, "schema_version": 7}]
    with open_store(of_schema_7) as store:
        read = (store.evaluations(), store.measurements(), store.edit_records(), store.costs())
        assert store.damage() == []
    assert path.read_bytes() == content
    assert {one.edit_sample for some in read[1:] for one in some} == {None}
    with open_store(of_schema_7, create=True) as store:
        assert (store.evaluations(), store.measurements(), store.edit_records(), store.costs()) == read
        assert store.damage() == []
    without_sample = [{"edit_sample": None, **row} for row in before["measurement"]]
    assert rows_of(path, "measurement") == without_sample
    assert {name: rows_of(path, name) for name in tables if name != "measurement"} == {
        name: rows for name, rows in before.items() if name != "measurement"
    }
    assert rows_of(path, "store") == [{"id": 1, "schema_version": SCHEMA_VERSION}]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE measurement SET value = value + 1 WHERE id = (SELECT max(id) FROM measurement)",
        "DELETE FROM measurement WHERE id = (SELECT max(id) FROM measurement)",
    ],
)
def test_an_upgrade_does_not_vouch_for_rows_that_were_damaged_before(of_schema_7: Path, change: str) -> None:
    with closing(sqlite3.connect(of_schema_7 / "results.sqlite")) as connection:
        connection.execute(change)
        connection.commit()
    for create in (False, True):
        with open_store(of_schema_7, create=create) as store:
            (damage,) = store.damage()
            assert "its measurements are not the ones that were written" in damage.sentence


@pytest.mark.parametrize("sample", ["3", "NULL"])
def test_a_changed_sample_is_damage(tmp_path: Path, sample: str) -> None:
    with open_store(tmp_path / "run", create=True) as store:
        store.write_evaluation(KEY, [measurement(edit_sample=None if sample == "3" else 3)], [])
    with closing(sqlite3.connect(tmp_path / "run" / "results.sqlite")) as connection:
        connection.execute(f"UPDATE measurement SET edit_sample = {sample}")
        connection.commit()
    with open_store(tmp_path / "run") as store:
        assert len(store.damage()) == 1


def test_samples_are_read_back(tmp_path: Path) -> None:
    largest = 2**63 - 1
    cost = CostRecord(step="edit", seconds=1.0, edit_sample=0)
    with open_store(tmp_path / "run", create=True) as store:
        store.write_evaluation(KEY, [measurement(edit_sample=largest), measurement("b")], [])
        store.write_edit_records([edit_record(1, edit_sample=largest)])
        store.write_cost(cost)
    with open_store(tmp_path / "run") as store:
        assert {one.task: one.edit_sample for one in store.measurements()} == {"mmlu": largest, "b": None}
        assert [one.task for one in store.measurements(Query(edit_sample=largest))] == ["mmlu"]
        assert [one.edit_sample for one in store.edit_records()] == [largest]
        assert store.costs() == [cost]


@pytest.mark.parametrize("name", ["run_6", "run_7"])
def test_the_upgraded_tables_are_those_of_the_schema(name: str, tmp_path: Path) -> None:
    old = Path(shutil.copytree(OLD_FORMATS / name, tmp_path / "run"))
    open_store(old, create=True).close()
    with create_engine(f"sqlite:///{old / 'results.sqlite'}").connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_an_upgrade_that_fails_changes_nothing(old: Path) -> None:
    path = old / "results.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE run (id INTEGER)")  # in the way of the migration
        connection.commit()
    content = path.read_bytes()
    with pytest.raises(SequelaError, match="can't be upgraded to schema version 8"):
        open_store(old, create=True)
    assert path.read_bytes() == content
    with pytest.raises(SequelaError, match=r"results\.sqlite"):
        open_store(old)


def test_an_upgrade_knows_item_files_that_are_missing(old: Path) -> None:
    missing = next((old / "items").iterdir())
    missing.rename(old / "kept")
    with open_store(old, create=True) as store:
        (damage,) = store.damage()
        assert missing.name in damage.sentence
        assert damage.key is not None
        (old / "kept").rename(missing)
        assert store.items(damage.key) != []
        assert store.damage() == []


def test_an_upgraded_run_is_continued(old: Path) -> None:
    with open_store(old, create=True) as store:
        key = store.evaluations()[-1]
        found: list[Measurement] = store.measurements(key=key)
        later = key.model_copy(update={"suite_version": "rescored-x"})
        store.write_evaluation(later, found, store.items(key))
        assert store.evaluations()[-1] == later
        assert key not in store.evaluations()
        store.write_edit_records(store.edit_records()[:1])
        store.write_cost(*store.costs()[:1])
        assert store.damage() == []


def test_what_is_written_into_a_run_of_schema_6_is_kept_or_refused(old: Path) -> None:
    with open_store(old) as store:
        cost = store.costs()[0]
        with pytest.raises(SequelaError, match="was opened for reading"):
            store.write_cost(cost)
    with open_store(old, upgrade=True) as store:
        store.write_cost(cost)
    with open_store(old) as store:
        assert store.costs()[-1] == cost
    with pytest.raises(SequelaError, match="There are no results"):
        open_store(old / "nothing", upgrade=True)
