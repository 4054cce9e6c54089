"""The database in a run's folder: its name, its journal, and readers who may not write."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from sequela.core.errors import SequelaError
from sequela.results import open_store, sqlite_database
from sequela.results.schema import SCHEMA_VERSION
from support.results import KEY, item, measurement

ODD_NAMES = [
    "a?b", "%20", "a%3Fb", "a#b", "a b", "a&mode=memory", "file:x", ":memory:", "sqlite:", "ä→漢", "a;b",
    "'", '"', "[x]", "{y}", "$HOME", "~", "-x", "a\nb", "a\\b", "%", "?", "a?mode=ro", "a@b:c",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("relative", [True, False], ids=["relative", "absolute"])
def test_a_folder_may_have_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, relative: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path(name) if relative else tmp_path / name
    for number in range(2):
        with open_store(folder, create=True) as store:
            key = KEY.model_copy(update={"suite_version": str(number)})
            store.write_evaluation(key, [measurement()], [item("1")])
    with open_store(folder) as store:
        assert len(store.evaluations()) == 1
        assert store.damage() == []
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert sorted(path.name for path in (tmp_path / name).iterdir()) == ["items", "results.sqlite"]


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    with open_store(folder, create=True) as store:
        store.write_evaluation(KEY, [measurement()], [item("1")])
    with open_store(folder) as store:
        assert store.items(KEY) == [item("1")]


def journal(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


def test_write_ahead_logging_lets_a_reader_read_while_a_writer_writes(tmp_path: Path) -> None:
    with open_store(tmp_path, create=True) as store:
        assert store.notes == ()
        assert journal(tmp_path / "results.sqlite") == "wal"
        with closing(sqlite3.connect(tmp_path / "results.sqlite", isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            with open_store(tmp_path) as reader:
                assert reader.measurements() == []
            writer.execute("ROLLBACK")
    assert [path.name for path in tmp_path.iterdir()] == ["results.sqlite"]


def test_a_network_file_system_gets_no_write_ahead_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_database, "network_file_system", lambda _: "nfs4")
    for _ in range(2):
        with open_store(tmp_path, create=True) as store:
            (note,) = store.notes
            assert "network file system (nfs4)" in note
            store.write_evaluation(KEY.model_copy(update={"suite_version": os.urandom(4).hex()}), [])
            assert journal(tmp_path / "results.sqlite") == "delete"


def test_a_log_that_sqlite_refuses_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(tmp_path, create=True).close()
    monkeypatch.setattr(sqlite_database, "_set_journal", lambda *_: "locking protocol")
    with open_store(tmp_path, create=True) as store:
        assert "because locking protocol" in store.notes[0]


def test_a_folder_that_may_not_be_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(tmp_path, create=True) as store:
        store.write_evaluation(KEY, [measurement()])
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may write everywhere
    with open_store(tmp_path) as store:
        assert store.measurements() == [measurement()]
    assert [path.name for path in tmp_path.iterdir()] == ["results.sqlite"]


def test_a_writer_that_was_killed_leaves_what_it_committed(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from sequela.results import *\n"
        "store = open_store(Path(sys.argv[1]), create=True)\n"
        "store.write_cost(CostRecord(step='edit', seconds=1.0))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], timeout=120, check=False)
    with open_store(tmp_path) as store:
        assert [one.step for one in store.costs()] == ["edit"]
    assert [path.name for path in tmp_path.iterdir()] == ["results.sqlite"]


def test_a_file_with_several_runs_is_no_results_of_one(tmp_path: Path) -> None:
    open_store(tmp_path, create=True).close()
    with closing(sqlite3.connect(tmp_path / "results.sqlite")) as connection:
        connection.execute("INSERT INTO run SELECT 'x', name, folder, host, created, '', '', '', '' FROM run")
        connection.commit()
    with pytest.raises(SequelaError, match="it has 2 runs instead of one"):
        open_store(tmp_path)


@pytest.mark.parametrize("version", [3, SCHEMA_VERSION + 1, 99, "NULL", "'x'"])
def test_another_version_is_refused_in_words(tmp_path: Path, version: object) -> None:
    open_store(tmp_path, create=True).close()
    with closing(sqlite3.connect(tmp_path / "results.sqlite")) as connection:
        connection.execute("CREATE TABLE copy AS SELECT * FROM store")
        connection.execute("DROP TABLE store")
        connection.execute("ALTER TABLE copy RENAME TO store")
        connection.execute(f"UPDATE store SET schema_version = {version}")
        connection.commit()
    for create in (False, True):
        with pytest.raises(SequelaError, match=r"has schema version|names no version"):
            open_store(tmp_path, create=create)
