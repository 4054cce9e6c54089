"""Predictions for many workers, on tasks whose times are known."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from sequela.studies.tasks import TaskKind

SECONDS = {
    TaskKind.LOAD: 2.0,
    TaskKind.ASK_UNEDITED: 1.0,
    TaskKind.MEASURE_UNEDITED: 3.0,
    TaskKind.PREPARE: 1.0,
    TaskKind.EDIT: 4.0,
    TaskKind.MEASURE: 3.0,
}


@pytest.fixture
def model(benchmark_support: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_support("scaling_model")


@pytest.fixture
def times(benchmark_support: Callable[[str], ModuleType]) -> Callable[[float], Any]:
    """Makes the times of a run, from the time in which its results were written."""
    module = benchmark_support("task_times")
    needs: dict[TaskKind, tuple[str, ...]] = {TaskKind.MEASURE: ("edit", "not done in this run")}

    def make(collecting: float) -> Any:
        tasks = [
            module.TaskTime(
                key=kind.value, kind=kind.value, needs=needs.get(kind, ()), place=("m",), seconds=seconds
            )
            for kind, seconds in SECONDS.items()
        ]
        return module.RunTimes(wall=14.0, collecting=collecting, stored_bytes=6 * 2**20, tasks=tuple(tasks))

    return make


@pytest.fixture
def grid(model: ModuleType) -> Any:
    """Per model: a load, an asked model, a suite, a preparation, and twice an edit and a suite."""
    return model.Grid(models=2, methods=1, orders=1, checkpoints=2, suites=1)


def test_one_worker_takes_the_sum_and_loads_each_model_once(model: Any, times: Any, grid: Any) -> None:
    found = model.predict(times(0.0), model.grid_graph(times(0.0), grid), 1)
    assert found.seconds == pytest.approx(2 * (2 + 1 + 3 + 1 + 2 * (4 + 3)))
    assert (found.loads, found.busy) == (2, pytest.approx(1.0))
    assert found.store == pytest.approx(16 * 2**20 / found.seconds)


def test_many_workers_take_the_chain_of_a_trajectory(model: Any, times: Any, grid: Any) -> None:
    """Of a load, the reference answers, two edits and a measurement; others load the model meanwhile."""
    found = model.predict(times(0.0), model.grid_graph(times(0.0), grid), 64)
    assert found.chain == pytest.approx(2 + 1 + 4 + 4 + 3)
    assert found.chain <= found.seconds <= found.chain + 2
    assert "a chain of" in found.bottleneck


def test_a_slow_writer_decides(model: Any, times: Any, grid: Any) -> None:
    found = model.predict(times(60.0), model.grid_graph(times(60.0), grid), 64)
    assert found.seconds == found.writer == pytest.approx(160.0)
    assert found.bottleneck == "the single writer of results"
    assert "| 64 | 2.7 min |" in model.table("A title", [found])


def test_what_a_run_did_not_do_is_not_needed(model: Any, times: Any) -> None:
    graph = model.measured_graph(times(0.0))
    assert graph["measure"].needs == ("edit",)
    assert sum(task.weight for task in graph) == sum(SECONDS.values())
