"""Predictions for many workers, on tasks whose times are known."""

from __future__ import annotations

import pytest

from sequela.studies.tasks import TaskKind
from support.scaling_model import Grid, grid_graph, measured_graph, predict, table
from support.task_times import RunTimes, TaskTime

SECONDS = {
    TaskKind.LOAD: 2.0,
    TaskKind.ASK_UNEDITED: 1.0,
    TaskKind.MEASURE_UNEDITED: 3.0,
    TaskKind.PREPARE: 1.0,
    TaskKind.EDIT: 4.0,
    TaskKind.MEASURE: 3.0,
}


def times(collecting: float) -> RunTimes:
    needs: dict[TaskKind, tuple[str, ...]] = {TaskKind.MEASURE: ("edit", "not done in this run")}
    tasks = [
        TaskTime(key=kind.value, kind=kind.value, needs=needs.get(kind, ()), place=("m",), seconds=seconds)
        for kind, seconds in SECONDS.items()
    ]
    return RunTimes(wall=14.0, collecting=collecting, stored_bytes=6 * 2**20, tasks=tuple(tasks))


GRID = Grid(models=2, methods=1, orders=1, checkpoints=2, suites=1)
"""Per model: a load, an asked model, a suite, a preparation, and twice an edit and a suite."""


def test_one_worker_takes_the_sum_and_loads_each_model_once() -> None:
    found = predict(times(0.0), grid_graph(times(0.0), GRID), 1)
    assert found.seconds == pytest.approx(2 * (2 + 1 + 3 + 1 + 2 * (4 + 3)))
    assert (found.loads, found.busy) == (2, pytest.approx(1.0))
    assert found.store == pytest.approx(16 * 2**20 / found.seconds)


def test_many_workers_take_the_chain_of_a_trajectory() -> None:
    found = predict(times(0.0), grid_graph(times(0.0), GRID), 64)
    assert found.chain == pytest.approx(2 + 1 + 4 + 4 + 3)
    assert found.seconds == pytest.approx(found.chain)
    assert "a chain of" in found.bottleneck


def test_a_slow_writer_decides() -> None:
    found = predict(times(60.0), grid_graph(times(60.0), GRID), 64)
    assert found.seconds == found.writer == pytest.approx(160.0)
    assert found.bottleneck == "the single writer of results"
    assert "| 64 | 2.7 min |" in table("A title", [found])


def test_what_a_run_did_not_do_is_not_needed() -> None:
    graph = measured_graph(times(0.0))
    assert graph["measure"].needs == ("edit",)
    assert sum(task.weight for task in graph) == sum(SECONDS.values())
