"""Ctrl-C at every step of a write: an evaluation is there with its items, or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from sequela.results import ResultsStore, open_store
from support.interrupts import InterruptAt
from support.results import edit_record, item, key, measurement

OWN_CODE = ("sequela/results",)


def interrupted_write(store: ResultsStore, number: int, interrupt: InterruptAt) -> None:
    try:
        with interrupt:
            store.write_evaluation(key(number), [measurement()], [item(str(number))])
    except KeyboardInterrupt:
        pass
    except AssertionError:  # SQLAlchemy's, about its own state, when it is interrupted within a commit
        assert interrupt.fired


def check_interrupts(folder: Path, interrupts: Iterable[InterruptAt]) -> tuple[int, int]:
    """Interrupts one write after another; returns how many were done and how many were not."""
    done = lost = 0
    with open_store(folder, create=True) as store:
        for number, interrupt in enumerate(interrupts):
            interrupted_write(store, number, interrupt)
            is_stored = store.has(key(number))
            assert (folder / "items" / f"{key(number).content_hash}.parquet").exists() == is_stored
            if is_stored:
                assert store.items(key(number)) == [item(str(number))]
                done += 1
            else:
                lost += 1
            if not interrupt.fired:
                break
        else:
            raise AssertionError("There are more steps.")
        if lost:  # nothing is locked, and what was interrupted can be written
            store.write_evaluation(key(0), [measurement()], [item("0")])
        assert store.damage() == []
        assert store.count_evaluations() == done + bool(lost)
    return done, lost


def every(step: int, within: tuple[str, ...], instructions: bool = False) -> Iterable[InterruptAt]:
    return (
        InterruptAt(number, within=within, instructions=instructions) for number in range(1, 200_000, step)
    )


def test_an_interrupt_at_any_line(tmp_path: Path) -> None:
    done, lost = check_interrupts(tmp_path, every(5, OWN_CODE))
    assert lost > 40
    assert done > 0


def test_an_interrupt_after_the_commit_loses_no_items(tmp_path: Path) -> None:
    """The last lines of a write, one by one."""
    with open_store(tmp_path / "counted", create=True) as store:
        counted = InterruptAt(10**9, within=OWN_CODE)
        interrupted_write(store, 0, counted)
    last = range(counted.seen - 12, counted.seen + 2)
    done, lost = check_interrupts(tmp_path / "run", (InterruptAt(number, within=OWN_CODE) for number in last))
    assert done >= 2
    assert done + lost == 14


@pytest.mark.slow
def test_an_interrupt_at_every_line(tmp_path: Path) -> None:
    check_interrupts(tmp_path, every(1, OWN_CODE))


@pytest.mark.slow
def test_an_interrupt_at_instructions(tmp_path: Path) -> None:
    check_interrupts(tmp_path, every(5, OWN_CODE, instructions=True))


@pytest.mark.slow
def test_an_interrupt_in_the_code_of_packages(tmp_path: Path) -> None:
    check_interrupts(tmp_path, every(37, ()))


@pytest.mark.slow
def test_a_second_interrupt_during_the_first_ones_cleaning(tmp_path: Path) -> None:
    """It may leave a file that no evaluation has, which the next write replaces."""
    with open_store(tmp_path, create=True) as store:
        for number in range(40):
            first = 250 + number * 2
            try:
                with InterruptAt(first, 1 + number % 20, within=OWN_CODE):
                    store.write_evaluation(key(number), [measurement()], [item("a")])
            except KeyboardInterrupt:
                pass
            if not store.has(key(number)):
                store.write_evaluation(key(number), [measurement()], [item("a")])
            assert store.items(key(number)) == [item("a")]
        assert store.damage() == []


@pytest.mark.slow
def test_an_interrupt_while_edits_are_written(tmp_path: Path) -> None:
    """All records of a batch are there, or none."""
    with open_store(tmp_path, create=True) as store:
        for number in range(1, 400, 2):
            before = store.edit_records()
            batch = [edit_record(position, seconds=float(number)) for position in (1, 2, 3)]
            interrupt = InterruptAt(number, within=OWN_CODE)
            try:
                with interrupt:
                    store.write_edit_records(batch)
            except KeyboardInterrupt:
                pass
            assert store.edit_records() in (before, batch)
            if not interrupt.fired:
                break
        assert store.damage() == []
