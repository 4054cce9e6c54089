"""Results on a PostgreSQL server. All tests that need the server are here, so that one worker starts it."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine, make_url, text

from sequela.core.descriptions import write_description
from sequela.core.errors import BadInputError, IntegrityError, SequelaError
from sequela.results import Comparison, CostRecord, ResultsStore, open_store, postgresql, runs_on_server
from sequela.results.location import DatabaseReference
from sequela.results.migrations import migrate
from sequela.results.postgresql import without_secrets
from sequela.results.schema import METADATA, SCHEMA_VERSION
from support.interrupts import InterruptAt
from support.postgresql import PASSWORD, Server
from support.results import KEY, edit_record, item, key, measurement


@pytest.fixture(scope="module")
def shared(postgresql: Server) -> str:
    """The name of a database for all tests that look at their own run only."""
    return postgresql.new_database()


@pytest.fixture
def address(postgresql: Server, shared: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SEQUELA_DATABASE", postgresql.address(shared))
    return postgresql.address(shared)


@pytest.fixture
def store(address: str, tmp_path: Path) -> Iterator[ResultsStore]:
    with open_store(tmp_path / "run", create=True, name="a study") as opened:
        yield opened


def execute(address: str, statement: str) -> None:
    with psycopg.connect(address.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(statement.encode())


def test_what_is_written_is_read_back(store: ResultsStore) -> None:
    measured = [
        measurement("a", value=0.1 + 0.2, order_seed=2**62, template_args={"x": None, "ä": [1]}),
        measurement("b", value=math.inf, stderr=None, shared=Comparison(value=-math.inf, baseline=0.5, n=3)),
        measurement("c", value=-0.0, baseline=5e-324, note="half \ud800 of a pair, and \0"),
    ]
    edits = [edit_record(1, final_loss=math.inf), edit_record(2, prompt="\0 \ud800 {}")]
    costs = [CostRecord(step="edit", seconds=3.5, n_edits=number) for number in (1, 2)]
    store.write_evaluation(KEY, measured, [item("1")])
    store.write_edit_records(edits)
    store.write_edit_records(edits[1:])
    store.write_cost(*costs)
    with open_store(store.folder) as again:
        assert again.evaluations() == [KEY]
        assert again.items(KEY) == [item("1")]
        found = sorted(again.measurements(), key=lambda one: one.task)
        assert found[:2] == measured[:2]
        assert found[2] == measured[2].model_copy(update={"note": "half ? of a pair, and \ufffd"})
        assert again.edit_records() == edits
        assert again.costs() == costs
        assert again.damage() == []
    with pytest.raises(SequelaError, match="exist already"):
        store.write_evaluation(KEY, [measurement()], [item("other")])
    assert store.items(KEY) == [item("1")]


def test_runs_in_one_database_do_not_see_one_another(address: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        with open_store(tmp_path / name, create=True, name=f"study {name}") as store:
            store.write_evaluation(KEY, [measurement(note=name)], [item(name)])
            store.write_edit_records([edit_record(1, prompt=name)])
            store.write_cost(CostRecord(step=name, seconds=1.0))
    for name in ("one", "two"):
        with open_store(tmp_path / name) as store:
            assert [one.note for one in store.measurements()] == [name]
            assert [one.prompt for one in store.edit_records()] == [name]
            assert [one.step for one in store.costs()] == [name]
            assert store.items(KEY) == [item(name)]
    runs = {run.name: run for run in runs_on_server(address)}
    assert runs["study one"].folder == str(tmp_path / "one")
    assert runs["study one"].host == socket.gethostname()
    assert runs["study two"].id != runs["study one"].id


def test_a_folder_names_its_database_without_a_password(
    store: ResultsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write_cost(CostRecord(step="edit", seconds=1.0))
    for path in store.folder.rglob("*"):
        assert PASSWORD.encode() not in path.read_bytes()
    assert PASSWORD not in store.database
    assert json.loads((store.folder / "database.json").read_text())["run_id"] == store.run_id
    assert not (store.folder / "results.sqlite").exists()
    monkeypatch.delenv("SEQUELA_DATABASE")
    with pytest.raises(SequelaError, match="refuses the user") as caught:
        open_store(store.folder)
    assert "PGPASSWORD" in str(caught.value.hint)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    moved = shutil.move(store.folder, store.folder.with_name("moved"))
    with open_store(Path(moved)) as again:
        assert len(again.costs()) == 1


def test_a_password_of_another_database_is_not_used(
    store: ResultsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQUELA_DATABASE", "postgresql://sequela:other@127.0.0.1:1/other")
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with open_store(store.folder) as again:
        assert again.run_id == store.run_id


def test_a_run_in_its_folder_stays_there(postgresql: Server, tmp_path: Path, shared: str) -> None:
    open_store(tmp_path, create=True).close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQUELA_DATABASE", postgresql.address(shared))
        with open_store(tmp_path, create=True) as store:
            assert store.database == str(tmp_path / "results.sqlite")
        assert not (tmp_path / "database.json").exists()


@pytest.mark.parametrize("kind", ["wrong password", "no password", "no database", "no user"])
def test_a_refused_connection_is_said_in_words(
    kind: str, postgresql: Server, shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = postgresql.address(shared)
    address, words = {
        "wrong password": (postgresql.address(shared, "wrong"), "refuses the user"),
        "no password": (postgresql.address(shared, None), "refuses the user"),
        "no database": (postgresql.address("nothing"), "has no database 'nothing'"),
        "no user": (right.replace("//sequela", "//nobody"), "refuses the user"),
    }[kind]
    monkeypatch.setenv("SEQUELA_DATABASE", address)
    with pytest.raises(SequelaError, match=words) as caught:
        open_store(tmp_path / "run", create=True)
    assert f"127.0.0.1:{postgresql.port}" in str(caught.value)
    assert "wrong" not in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_closed_port_and_a_silent_server_are_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "CONNECT_TIMEOUT", 2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        for listens in (False, True):
            if listens:
                silent.listen()
            monkeypatch.setenv("SEQUELA_DATABASE", f"postgresql://me:secret@127.0.0.1:{port}/db")
            with pytest.raises(SequelaError, match=rf"me@127\.0\.0\.1:{port}/db can't be reached"):
                open_store(tmp_path / "run", create=True)


def test_a_name_that_is_looked_up_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgresql, "DEADLINE", 0.2)

    def look_up(*_: object, **__: object) -> None:
        time.sleep(2)
        raise psycopg.OperationalError

    monkeypatch.setattr(psycopg, "connect", look_up)
    with pytest.raises(SequelaError, match=r"slow\.example/db can't be reached: no answer within"):
        postgresql.connect(postgresql.read_address("postgresql://slow.example/db", "It"))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("nonsense secret", "is not the address of a database"),
        ("postgresql://u:secret@host:port/x", "is not the address of a database"),
        ("mysql://u:secret@host/x", "of the kind 'mysql'"),
        ("sqlite:///secret", "of the kind 'sqlite'"),
        ("postgresql+asyncpg://u:secret@host/x", "of the kind 'postgresql.asyncpg'"),
        ("postgresql://u:secret@host", "names no database"),
        ("postgresql+psycopg://u:secret@host/", "names no database"),
    ],
)
def test_a_wrong_address_is_bad_input_and_not_repeated(
    address: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQUELA_DATABASE", address)
    with pytest.raises(BadInputError, match=words) as caught:
        open_store(tmp_path / "run", create=True)
    assert "secret" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_passwords_in_parameters_are_not_kept() -> None:
    url = postgresql.read_address("postgresql://u:a@h/d?password=b&sslpassword=c&sslmode=require", "It")
    assert str(postgresql.without_secrets(url)) == "postgresql+psycopg://u@h/d?sslmode=require"


def test_without_the_driver_the_extra_is_named() -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from sequela.results.postgresql import connect, read_address\n"
        "connect(read_address('postgresql://u:secret@h/d', 'It'))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert "SequelaError" in done.stderr
    assert 'pip install "sequela[postgres]"' in done.stderr
    assert "secret" not in done.stderr.split("SequelaError")[-1]


def test_tables_of_another_version_or_program(
    postgresql: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = postgresql.address(postgresql.new_database())
    monkeypatch.setenv("SEQUELA_DATABASE", address)
    execute(address, "CREATE TABLE run (id INTEGER)")
    with pytest.raises(SequelaError, match='relation "run" already exists'):
        open_store(tmp_path / "run", create=True)
    execute(address, "DROP TABLE run")
    with pytest.raises(SequelaError, match="it has no tables of sequela"):
        open_store(tmp_path / "run")
    open_store(tmp_path / "run", create=True).close()
    execute(address, "UPDATE store SET schema_version = 99")
    for create in (False, True):
        with pytest.raises(SequelaError, match="has schema version 99") as caught:
            open_store(tmp_path / "run", create=create)
        assert "newer version" in str(caught.value.hint)
    execute(address, f"UPDATE store SET schema_version = {SCHEMA_VERSION}")
    execute(address, "DELETE FROM run")
    (tmp_path / "run" / "items").mkdir()
    (tmp_path / "run" / "items" / "x.parquet").touch()
    with pytest.raises(SequelaError, match="has no run"):
        open_store(tmp_path / "run", create=True)


def test_migrations_lead_to_the_tables_of_the_schema(postgresql: Server) -> None:
    engine = create_engine(postgresql.address(postgresql.new_database()))
    with engine.begin() as connection:
        migrate(connection, 0, SCHEMA_VERSION)
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []
    engine.dispose()


def test_a_database_of_schema_7_is_upgraded(
    postgresql: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are those that commit ad80e74 wrote into SQLite, whose tables are the same."""
    folder = Path(shutil.copytree(Path(__file__).parents[1] / "old_formats" / "run_7", tmp_path / "run"))
    with open_store(folder) as store:
        expected = (store.evaluations(), store.measurements(), store.edit_records(), store.costs())
        run_id = store.run_id
    address = postgresql.address(postgresql.new_database())
    engine, old = create_engine(address), create_engine(f"sqlite:///{folder / 'results.sqlite'}")
    with engine.begin() as connection, old.connect() as source:
        migrate(connection, 0, 7)
        tables = MetaData()
        tables.reflect(connection)
        for name in ("run", "evaluation", "measurement", "edit", "cost"):
            rows = source.execute(text(f"SELECT * FROM {name}")).mappings()
            connection.execute(tables.tables[name].insert(), [dict(row) for row in rows])
    engine.dispose()
    (folder / "results.sqlite").unlink()
    public = str(without_secrets(make_url(address)))
    write_description(folder / "database.json", DatabaseReference(address=public, run_id=run_id))

    monkeypatch.setenv("SEQUELA_DATABASE", address)
    with pytest.raises(SequelaError, match="schema version 7, an earlier one"):
        open_store(folder)
    for create in (True, False):
        with open_store(folder, create=create) as store:
            found = (store.evaluations(), store.measurements(), store.edit_records(), store.costs())
            assert found == expected
            assert store.damage() == []
    execute(address, "UPDATE measurement SET edit_sample = 1")
    with open_store(folder) as store:
        assert len(store.damage()) == len(expected[0])


def test_a_run_begun_by_several_processes_has_its_tables_once(
    postgresql: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQUELA_DATABASE", postgresql.address(postgresql.new_database()))

    def begin(number: int) -> None:
        with open_store(tmp_path / str(number), create=True) as store:
            store.write_cost(CostRecord(step="edit", seconds=1.0))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(begin, range(4)))
    assert len(runs_on_server(os.environ["SEQUELA_DATABASE"])) == 4


def test_a_changed_row_is_refused_by_name(store: ResultsStore, address: str) -> None:
    store.write_evaluation(KEY, [measurement()], [item("1")])
    store.write_edit_records([edit_record(1)])
    execute(address, f"UPDATE evaluation SET n_items = 2 WHERE run_id = '{store.run_id}'")
    with pytest.raises(IntegrityError, match="evaluation of 'mmlu' after 5 edits of 't1' is damaged"):
        store.measurements()
    store.set_aside(store.damage())
    assert not store.has(KEY)
    assert store.edit_records() == [edit_record(1)]


def test_deleting_a_run_deletes_what_it_has(store: ResultsStore, address: str) -> None:
    store.write_evaluation(KEY, [measurement()])
    store.write_cost(CostRecord(step="edit", seconds=1.0))
    execute(address, f"DELETE FROM run WHERE id = '{store.run_id}'")
    with pytest.raises(IntegrityError, match="is not in"):
        store.costs()


def test_a_lost_connection_is_opened_again(store: ResultsStore, address: str) -> None:
    store.write_cost(CostRecord(step="edit", seconds=1.0))
    execute(
        address,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'sequela' AND datname = current_database()",
    )
    store.write_cost(CostRecord(step="edit", seconds=2.0))
    assert len(store.costs()) == 2


def test_an_interrupted_write_is_done_or_not(store: ResultsStore) -> None:
    with open_store(store.folder) as again:
        for number, step in enumerate(range(1, 10_000, 40)):
            interrupt = InterruptAt(step, within=("sequela/results",))
            try:
                with interrupt:
                    again.write_evaluation(key(number), [measurement()], [item("1")])
            except KeyboardInterrupt:
                pass
            path = store.folder / "items" / f"{key(number).content_hash}.parquet"
            assert path.exists() == store.has(key(number))
            if not interrupt.fired:
                break
        assert store.damage() == []


def test_readers_and_writers_lose_and_double_nothing(store: ResultsStore) -> None:
    """Fewer than on SQLite; `benchmarks/database.py` has more for longer."""

    def write(number: int) -> None:
        with open_store(store.folder) as own:
            for count in range(5):
                own.write_evaluation(key(10 * number + count), [measurement()], [item("1")])
                own.write_cost(CostRecord(step=f"{number} {count}", seconds=1.0))

    def read(_: int) -> None:
        with open_store(store.folder) as own:
            seen = 0
            for _ in range(5):
                seen, before = len(own.measurements()), seen
                assert seen >= before

    with ThreadPoolExecutor(12) as pool:
        done = [pool.submit(write, number) for number in range(4)]
        done += [pool.submit(read, number) for number in range(8)]
        for one in done:
            one.result()
    assert len(set(store.evaluations())) == len(store.evaluations()) == 20
    assert len({one.step for one in store.costs()}) == len(store.costs()) == 20
    assert store.damage() == []
