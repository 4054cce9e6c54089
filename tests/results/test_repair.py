"""Damage in a store: found when it is read, named, set aside, and measured again."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sequela.core.errors import IntegrityError, SequelaError
from sequela.results import CostRecord, DamageKind, Query, open_store
from support.results import edit_record, item, key, measurement

COSTS = [CostRecord(step="edit", seconds=float(number), n_edits=number) for number in (1, 2, 3)]


def write_all(folder: Path) -> None:
    with open_store(folder, create=True) as store:
        for number in range(3):
            store.write_evaluation(
                key(number), [measurement(), measurement("other", value=0.5)], [item("1"), item("2", 0.0)]
            )
        store.write_edit_records([edit_record(1), edit_record(2), edit_record(3, trajectory="t2")])
        store.write_cost(*COSTS)


def read_all(folder: Path) -> list[Any]:
    with open_store(folder) as store:
        keys = store.evaluations()
        return [
            keys,
            store.measurements(),
            [store.items(one) for one in keys],
            store.edit_records(),
            store.edit_records("t1"),
            store.costs(),
        ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_all(tmp_path / "run")
    return tmp_path / "run"


def change(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "results.sqlite")) as connection:
        assert connection.execute(statement).rowcount == 1
        connection.commit()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE measurement SET value = 0.75 WHERE id = 1", "evaluation of 'mmlu' after 5 edits of 't1'"),
        ("UPDATE measurement SET task = 'x' WHERE id = 4", "evaluation of 'mmlu'"),
        ("DELETE FROM measurement WHERE id = 2", "evaluation of 'mmlu'"),
        ("UPDATE measurement SET evaluation_id = 2 WHERE id = 1", "evaluation of 'mmlu'"),
        ("UPDATE measurement SET value = 'much' WHERE id = 1", "evaluation of 'mmlu'"),
        ("UPDATE measurement SET note = CAST(X'ff' AS TEXT) WHERE id = 1", "evaluation of 'mmlu'"),
        ("UPDATE measurement SET shared = '{' WHERE id = 1", "evaluation of 'mmlu'"),
        ("UPDATE evaluation SET suite = 'mmlv' WHERE id = 1", "evaluation of 'mmlv'"),
        ("UPDATE evaluation SET n_items = 0 WHERE id = 1", "evaluation of 'mmlu'"),
        ("UPDATE evaluation SET number = 9 WHERE id = 1", "evaluation of 'mmlu'"),
        ("UPDATE evaluation SET n_edits = CAST(X'00ff' AS BLOB) WHERE id = 1", "evaluation of 'mmlu'"),
        ("DELETE FROM evaluation WHERE id = 3", "evaluations are missing"),
        ("UPDATE evaluation SET run_id = 'x' WHERE id = 3", "evaluations are missing"),
    ],
)
def test_a_changed_evaluation_is_refused_by_name(folder: Path, statement: str, named: str) -> None:
    change(folder, statement)
    with open_store(folder) as store:
        with pytest.raises(IntegrityError, match=named):
            store.measurements(Query(task="mmlu"))
        assert len(store.edit_records()) == 3
        assert store.costs() == COSTS


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE edit SET record = replace(record, '0.02', '0.03') WHERE position = 2",
        "UPDATE edit SET trajectory = 't3' WHERE position = 2",
        "UPDATE edit SET position = 7 WHERE position = 2",
        "UPDATE edit SET record = '{' WHERE position = 2",
        "DELETE FROM edit WHERE position = 2",
        "UPDATE edit SET run_id = 'x' WHERE position = 2",
    ],
)
def test_a_changed_record_of_an_edit_is_refused(folder: Path, statement: str) -> None:
    change(folder, statement)
    with open_store(folder) as store:
        with pytest.raises(IntegrityError, match=r"record of edit|records of edits are missing"):
            store.edit_records()
        with pytest.raises(IntegrityError, match=r"record of edit|records of edits are missing"):
            store.edit_records("t1")
        assert len(store.measurements()) == 6


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE cost SET record = replace(record, '2.0', '3.0') WHERE number = 2",
        "UPDATE cost SET number = 9 WHERE number = 2",
        "DELETE FROM cost WHERE number = 2",
    ],
)
def test_a_changed_cost_is_refused_and_set_aside(folder: Path, statement: str) -> None:
    change(folder, statement)
    with open_store(folder, create=True) as store:
        with pytest.raises(IntegrityError, match=r"cost"):
            store.costs()
        damage = store.damage()
        assert [one.kind for one in damage] == [DamageKind.COST]
        store.set_aside(damage)
        assert store.costs() == [COSTS[0], COSTS[2]]
        assert store.damage() == []


def test_a_changed_description_of_the_run_is_refused(folder: Path) -> None:
    change(folder, "UPDATE run SET name = 'other'")
    with open_store(folder) as store, pytest.raises(IntegrityError, match="description of the run"):
        store.measurements()


def test_a_damaged_evaluation_is_set_aside_and_measured_again(folder: Path) -> None:
    change(folder, "UPDATE measurement SET value = 0.75 WHERE id = 1")
    with open_store(folder, create=True) as store:
        (damage,) = store.damage()
        assert (damage.kind, damage.key) == (DamageKind.EVALUATION, key(0))
        store.set_aside([damage])
        assert store.damage() == []
        assert not store.has(key(0))
        assert store.evaluations() == [key(1), key(2)]
        store.write_evaluation(key(0), [measurement()], [item("1")])
        assert store.items(key(0)) == [item("1")]
    kept = {path.name for path in (folder / "damaged").iterdir()}
    assert kept == {"evaluation-1.json", f"{key(0).content_hash}-1.parquet"}
    assert "0.75" not in (folder / "damaged" / "evaluation-1.json").read_text()  # the row is the evaluation's


def test_a_damaged_item_file_is_named_and_measured_again(folder: Path) -> None:
    path = folder / "items" / f"{key(1).content_hash}.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with open_store(folder, create=True) as store:
        with pytest.raises(IntegrityError, match=path.name):
            store.items(key(1))
        assert len(store.items(key(2))) == 2
        (damage,) = store.damage()
        assert path.name in damage.sentence
        store.set_aside([damage])
        assert [store.has(key(number)) for number in range(3)] == [True, False, True]
    assert not path.exists()


@pytest.mark.parametrize(
    ("statement", "trajectory"),
    [
        ("UPDATE edit SET record = replace(record, '0.02', '0.03') WHERE position = 2", "t1"),
        ("UPDATE edit SET trajectory = 't3' WHERE position = 2", "t1"),
        ("DELETE FROM edit WHERE position = 2", None),
    ],
)
def test_the_trajectory_of_a_damaged_edit_is_known_if_it_can_be(
    folder: Path, statement: str, trajectory: str | None
) -> None:
    change(folder, statement)
    with open_store(folder, create=True) as store:
        (damage,) = store.damage()
        assert (damage.kind, damage.trajectory) == (DamageKind.EDIT, trajectory)
        store.set_aside([damage])
        assert store.edit_records() == [edit_record(1), edit_record(3, trajectory="t2")]
        store.write_edit_records([edit_record(2)])
        assert store.edit_records("t1") == [edit_record(1), edit_record(2)]
        assert store.damage() == []


def flipped(content: bytes, rng: random.Random) -> bytes:
    """Returns bytes with one bit flipped, or, one time in eight, cut."""
    if rng.randrange(8) == 0:
        return content[: rng.randrange(len(content))]
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]


def outcomes(folder: Path, path: Path, count: int, repair: bool = False) -> Counter[str]:
    """Damages a file again and again; returns how often that was refused, harmless or silently wrong."""
    expected, content, found = read_all(folder), path.read_bytes(), Counter[str]()
    for seed in range(count):
        for stray in folder.glob("results.sqlite-*"):
            stray.unlink()
        path.write_bytes(flipped(content, random.Random(f"{path.suffix} {seed}")))
        try:
            found["harmless" if read_all(folder) == expected else f"silent: {seed}"] += 1
        except SequelaError as error:
            found["refused" if path.name in error.message else f"unnamed: {seed}"] += 1
        if repair:
            found[f"repair: {repaired(folder)}"] += 1
            shutil.rmtree(folder)
            write_all(folder)
    path.write_bytes(content)
    return found


def repaired(folder: Path) -> str:
    try:
        with open_store(folder, create=True) as store:
            store.set_aside(store.damage())
        read_all(folder)
    except SequelaError:
        return "refused"
    return "done"


def test_flipped_bits_are_refused_or_harmless(folder: Path) -> None:
    found = outcomes(folder, folder / "results.sqlite", 40)
    found += outcomes(folder, next((folder / "items").iterdir()), 15)
    assert set(found) == {"refused", "harmless"}, found
    assert found["refused"] >= 20


@pytest.mark.slow
def test_many_flipped_bits_are_refused_or_harmless(folder: Path) -> None:
    found = outcomes(folder, folder / "results.sqlite", 400)
    assert set(found) == {"refused", "harmless"}, found
    assert found["refused"] > 100
    found = outcomes(folder, next((folder / "items").iterdir()), 200)
    assert found == {"refused": 200}


@pytest.mark.slow
def test_what_can_be_set_aside_leaves_a_store_that_can_be_read(folder: Path) -> None:
    found = outcomes(folder, folder / "results.sqlite", 200, repair=True)
    assert {name for name in found if name.startswith("silent")} == set()
    assert found["repair: done"] > 50


def test_a_whole_store_has_no_damage(folder: Path) -> None:
    with open_store(folder) as store:
        assert store.damage() == []
        store.set_aside([])
    assert not (folder / "damaged").exists()
