"""The course of a large study on many workers, simulated from the task times of a small one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TYPE_CHECKING

from sequela.scheduling import Place, Task, TaskGraph, numbered_workers, simulate
from sequela.studies.tasks import TaskKind

if TYPE_CHECKING:
    from support.task_times import RunTimes


@dataclass(frozen=True)
class Grid:
    """The size of a study.

    Args:
        models: The number of models.
        methods: The number of methods.
        orders: The number of orders of the edits.
        checkpoints: The number of checkpoints after edits.
        suites: The number of suites, edit quality included.
    """

    models: int
    methods: int
    orders: int
    checkpoints: int
    suites: int

    @property
    def trajectories(self) -> int:
        """The number of trajectories."""
        return self.models * self.methods * self.orders


PAPER = Grid(models=11, methods=6, orders=1, checkpoints=8, suites=7)
"""Eleven models, six methods, eight edit counts, seven benchmarks."""


@dataclass(frozen=True)
class Prediction:
    """The predicted course of a study.

    Args:
        workers: The number of workers.
        seconds: The time.
        busy: The share of the workers' time in which they work, from 0 to 1.
        bottleneck: Why it isn't shorter.
        chain: The seconds of the longest chain of tasks, below which no number of workers gets.
        writer: The seconds in which the single writer of results writes.
        loads: The number of times that a worker loads a model.
        store: The bytes per second that go to the store.
    """

    workers: int
    seconds: float
    busy: float
    bottleneck: str
    chain: float
    writer: float
    loads: int
    store: float


def measured_graph(times: RunTimes) -> TaskGraph:
    """Returns the tasks of a run with their times, in seconds, as weights."""
    known = {one.key for one in times.tasks}
    return TaskGraph(
        Task(
            one.key,
            one.kind,
            one.kind,
            tuple(need for need in one.needs if need in known),
            one.place,
            one.seconds,
        )
        for one in times.tasks
    )


def grid_graph(times: RunTimes, grid: Grid) -> TaskGraph:
    """Returns the tasks of a study of another size; each takes the mean time of its kind."""
    seconds = {kind.value: _mean_seconds(times, kind) for kind in TaskKind}
    return TaskGraph(_grid_tasks(grid, seconds))


def predict(times: RunTimes, graph: TaskGraph, n_workers: int) -> Prediction:
    """Predicts the course of a study.

    The writer of results is one process beside the workers: if it needs longer than they, it decides. The
    simulation knows nothing of the store's speed; what it must bear is a result.

    Args:
        times: Those of a measured run by one worker, with the time to load the model and to write results.
        graph: The tasks; their weights are seconds.
        n_workers: The number of workers.
    """
    load = _mean_seconds(times, TaskKind.LOAD)
    loads = [0]

    def loading(held: Place, place: Place) -> float:
        if held[:1] == place[:1]:
            return 0.0
        loads[0] += 1
        return load

    # A load of its own is the first task of a model; the worker that does it holds the model then.
    tasks = TaskGraph(_without_weight(task) for task in graph)
    simulation = simulate(tasks, numbered_workers(n_workers), loading=loading)
    writer = times.collecting / len(times.tasks) * len(graph)
    chain = max(graph.chain_weights(frozenset(graph.keys)).values(), default=0.0)
    seconds = max(simulation.makespan, writer)
    return Prediction(
        workers=n_workers,
        seconds=seconds,
        busy=simulation.busy * simulation.makespan / seconds if seconds else 0.0,
        bottleneck="the single writer of results" if writer > simulation.makespan else simulation.bottleneck,
        chain=chain,
        writer=writer,
        loads=loads[0],
        store=times.stored_bytes / len(times.tasks) * len(graph) / seconds if seconds else 0.0,
    )


def table(title: str, predictions: Sequence[Prediction]) -> str:
    """Returns predictions as a table in Markdown."""
    lines = [
        f"**{title}**",
        "",
        "| workers | time | busy | longest chain | writer | model loads | to the store | bottleneck |",
        "|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    lines += [
        f"| {one.workers} | {_time(one.seconds)} | {one.busy:.0%} | {_time(one.chain)} | "
        f"{_time(one.writer)} | {one.loads} | {one.store / 2**20:.2f} MiB/s | {one.bottleneck} |"
        for one in predictions
    ]
    return "\n".join(lines)


def _without_weight(task: Task) -> Task:
    weight = 0.0 if task.kind == TaskKind.LOAD.value else task.weight
    return Task(task.key, task.kind, task.label, task.needs, task.place, weight)


def _mean_seconds(times: RunTimes, kind: TaskKind) -> float:
    found = [one.seconds for one in times.tasks if one.kind == kind.value]
    return mean(found) if found else 0.0


def _grid_tasks(grid: Grid, seconds: dict[str, float]) -> Iterator[Task]:
    def task(key: str, kind: TaskKind, needs: tuple[str, ...], place: Place) -> Task:
        return Task(key, kind.value, kind.value, needs, place, seconds[kind.value])

    for model in range(grid.models):
        name = f"model {model}"
        load, asked = f"{name}: load", f"{name}: ask"
        yield task(load, TaskKind.LOAD, (), (name,))
        yield task(asked, TaskKind.ASK_UNEDITED, (load,), (name,))
        for suite in range(grid.suites):
            yield task(f"{name}: suite {suite}", TaskKind.MEASURE_UNEDITED, (load,), (name,))
        for method in range(grid.methods):
            prepared = f"{name}: prepare {method}"
            yield task(prepared, TaskKind.PREPARE, (load,), (name,))
            for order in range(grid.orders):
                before, where = "", f"{name}, {method}, {order}"
                for checkpoint in range(grid.checkpoints):
                    edit = f"{where}: edit {checkpoint}"
                    needs = (prepared, asked, *([before] if before else []))
                    yield task(edit, TaskKind.EDIT, needs, (name, where))
                    for suite in range(grid.suites):
                        key = f"{where}: {checkpoint}, suite {suite}"
                        yield task(key, TaskKind.MEASURE, (edit,), (name, where))
                    before = edit


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
