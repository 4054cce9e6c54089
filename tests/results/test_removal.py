"""Removing results in one transaction."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequela.results import CostRecord, Kept, ResultsStore, open_store
from support.results import edit_record, item, key, measurement

EVEN = Kept(
    evaluation=lambda one: int(one.model_hash.split()[-1]) % 2 == 0,
    edit=lambda trajectory, position: position % 2 == 0,
    cost=lambda cost: cost.units % 2 == 0,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run with six evaluations, edits and costs."""
    with open_store(tmp_path, create=True) as store:
        for number in range(6):
            store.write_evaluation(key(number), [measurement()], [item(f"item {number}")])
        store.write_edit_records(edit_record(position) for position in range(1, 7))
        store.write_cost(*(CostRecord(step="edit", seconds=1, units=units) for units in range(1, 7)))
    return tmp_path


def files(folder: Path) -> set[str]:
    return {path.stem for path in (folder / "items").iterdir()}


def test_what_stays_is_as_it_was(folder: Path) -> None:
    with open_store(folder, create=True) as store:
        assert store.retain(EVEN) == 3
        assert store.evaluations() == [key(0), key(2), key(4)]
        assert store.items(key(2)) == [item("item 2")]
        assert [one.position for one in store.edit_records()] == [2, 4, 6]
        assert [one.units for one in store.costs()] == [2, 4, 6]
        assert store.damage() == []
        assert store.retain(EVEN) == 0
        store.write_evaluation(key(1), [measurement()], [item("again")])
        assert store.items(key(1)) == [item("again")]
    assert files(folder) == {key(number).content_hash for number in (0, 1, 2, 4)}


def test_a_removal_is_whole_or_not_at_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise SystemExit(9)

    def everything(store: ResultsStore) -> tuple[object, ...]:
        return store.evaluations(), store.edit_records(), store.costs(), store.damage()

    with open_store(folder, create=True) as store:
        before = everything(store)
        with monkeypatch.context() as patch:
            patch.setattr("sequela.results.removal.run_digest", fails)
            with pytest.raises(SystemExit):
                store.retain(EVEN)
        assert everything(store) == before
        with monkeypatch.context() as patch:
            patch.setattr("sequela.results.store.remove_item_files", fails)
            with pytest.raises(SystemExit):
                store.retain(EVEN)
        assert store.evaluations() == [key(0), key(2), key(4)]
        assert store.damage() == []
        assert len(files(folder)) == 6  # the next removal deletes those that no row names
        store.retain(EVEN)
        assert files(folder) == {key(number).content_hash for number in (0, 2, 4)}
