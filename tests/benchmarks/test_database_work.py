"""Readers and writers at the same time, for a number of rounds."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from sequela.results import open_store


@pytest.fixture(scope="module")
def work(benchmark_support: Callable[[str], ModuleType]) -> ModuleType:
    """`benchmarks/support/database_work.py`."""
    return benchmark_support("database_work")


def test_eight_readers_and_four_writers_lose_and_double_nothing(work: ModuleType, tmp_path: Path) -> None:
    open_store(tmp_path, create=True).close()
    with ThreadPoolExecutor(12) as pool:
        writers = [pool.submit(work.write_for, tmp_path, number, 0.0, 11) for number in range(4)]
        readers = [pool.submit(work.read_for, tmp_path, number, 0.0, 6) for number in range(8)]
        written = [one.result() for one in writers]
        assert all(len(one.result().seconds) == 6 for one in readers)
    assert [one.evaluations for one in written] == [11] * 4
    work.check_all(tmp_path, written)


def test_the_check_finds_a_lost_row(work: ModuleType, tmp_path: Path) -> None:
    open_store(tmp_path, create=True).close()
    done = work.write_for(tmp_path, 0, 0.0, 2)
    done.costs += 1
    with pytest.raises(RuntimeError, match="costs are missing"):
        work.check_all(tmp_path, [done])
