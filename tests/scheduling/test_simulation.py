"""Simulated runs: makespan, bottleneck, and the order of real runs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.scheduling import Resources, TaskGraph, numbered_workers, simulate
from support.scheduling import task


def trajectories(n: int, length: int, edit: float, evaluate: float) -> TaskGraph:
    """Returns trajectories of edits, each followed by the next and by an evaluation."""
    tasks = []
    for t in range(n):
        for i in range(length):
            needs = [f"edit {t} {i - 1}"] if i else []
            place = ("model", str(t))
            tasks.append(task(f"edit {t} {i}", *needs, kind="edit", weight=edit, place=place))
            tasks.append(
                task(f"eval {t} {i}", f"edit {t} {i}", kind="evaluate", weight=evaluate, place=place)
            )
    return TaskGraph(tasks)


def test_one_worker_takes_the_sum() -> None:
    simulation = simulate(trajectories(2, 3, 1, 2), numbered_workers(1))
    assert simulation.makespan == 18
    assert simulation.busy == 1
    assert simulation.bottleneck == "the number of workers: they are busy 100% of the time"


def test_many_workers_take_the_longest_chain() -> None:
    simulation = simulate(trajectories(4, 5, 10, 2), numbered_workers(64))
    assert simulation.makespan == 52
    assert [span.task.kind for span in simulation.blocking] == ["edit"] * 5 + ["evaluate"]
    assert simulation.blocking_seconds == {"edit": 50, "evaluate": 2}
    assert simulation.bottleneck == (
        "a chain of 6 tasks, each waiting for the one before; edit tasks take 96% of it"
    )


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 5), st.integers(1, 5), st.integers(0, 9), st.integers(0, 9), st.sampled_from([1, 2, 3, 8])
)
def test_a_simulation_keeps_the_bounds_of_list_scheduling(
    n: int, length: int, edit: int, evaluate: int, n_workers: int
) -> None:
    graph = trajectories(n, length, edit, evaluate)
    simulation = simulate(graph, numbered_workers(n_workers))
    work = sum(one.weight for one in graph)
    chain = max(graph.chain_weights().values())
    assert max(work / n_workers, chain) <= simulation.makespan + 1e-9
    assert simulation.makespan <= work / n_workers + chain * (1 - 1 / n_workers) + 1e-9
    ends = {span.task.key: span.end for span in simulation.spans}
    assert len(ends) == len(graph)
    for span in simulation.spans:
        assert all(ends[need] <= span.start for need in span.task.needs)
    for before, after in zip(simulation.blocking, simulation.blocking[1:], strict=False):
        assert before.end == after.start
    assert not simulation.blocking or simulation.blocking[0].start == 0


def test_stored_tasks_take_no_time() -> None:
    graph = trajectories(1, 3, 10, 1)
    assert simulate(graph, numbered_workers(1), lambda task: task.kind == "edit").makespan == 3
    nothing = simulate(graph, numbered_workers(1), lambda task: True)
    assert (nothing.makespan, nothing.busy, nothing.bottleneck) == (0, 0, "there is nothing to do")


def test_loading_counts_once_for_a_place_that_is_held() -> None:
    graph = trajectories(2, 2, 1, 1)
    simulation = simulate(
        graph, numbered_workers(2), loading=lambda held, place: 0.0 if held == place else 5.0
    )
    assert simulation.makespan == 5 + 4


def test_a_task_that_fits_no_worker_is_an_error() -> None:
    with pytest.raises(ValueError, match="fits no worker"):
        simulate(TaskGraph([task("a", resources=Resources(gpus=1))]), numbered_workers(2))


def test_hundreds_of_workers_and_thousands_of_tasks_are_simulated() -> None:
    simulation = simulate(trajectories(100, 20, 30, 60), numbered_workers(512))
    assert simulation.makespan == 20 * 30 + 60
