"""Tasks that processes share: one does a task, and what it made counts as stored for the others."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest

from sequela.core.progress import SILENT, Progress
from sequela.scheduling import Busy, InlineExecutor, Scheduler, State, Stored, Task, TaskGraph
from sequela.store import Address, Kind, Store
from sequela.studies.claims import ClaimingWorkbench
from sequela.studies.tasks import TaskKind
from support.stores import local_store, rewrite


class Making:
    """A workbench that counts the objects that it makes, of all instances, and takes its time."""

    def __init__(self, store: Store, made: Counter[str], free: threading.Event) -> None:
        self._store, self._made, self._free = store, made, free
        self.is_closed = False

    def run(self, task: Task, progress: Progress) -> object:
        assert self._free.wait(60)
        self._made[task.key] += 1
        if task.kind not in (TaskKind.LOAD.value,):
            with self._store.writing(Address.parse(task.key), about(task.label)) as folder:
                (folder / "output.txt").write_text(task.label)
        return task.label

    def close(self) -> None:
        self.is_closed = True


def about(label: str) -> dict[str, str]:
    return {"label": label}


def making(label: str, *needs: Task) -> Task:
    """Returns a task that makes an object."""
    key = str(Address.of(Kind.EVALUATION, about(label)))
    return Task(key, TaskKind.MEASURE.value, label, tuple(need.key for need in needs))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return local_store(tmp_path / "store")


@pytest.fixture
def free() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def test_a_task_that_is_held_is_busy_and_one_that_was_done_is_stored(
    store: Store, free: threading.Event
) -> None:
    made, task = Counter[str](), making("a")
    workspace = ClaimingWorkbench(Making(store, made, free), store)
    with store.claimed(Address.parse(task.key), "a"):
        answer = workspace.run(task, SILENT)
        assert isinstance(answer, Busy)
        assert answer.holder.startswith("Another process (id ")
    assert workspace.run(task, SILENT) == "a"
    assert workspace.run(task, SILENT) == Stored()
    assert made == {task.key: 1}


def test_a_damaged_output_is_made_again(store: Store, free: threading.Event) -> None:
    made, task = Counter[str](), making("a")
    workspace = ClaimingWorkbench(Making(store, made, free), store)
    workspace.run(task, SILENT)
    rewrite(store.fetch(Address.parse(task.key)) / "output.txt", b"b")
    assert workspace.run(task, SILENT) == "a"
    assert made == {task.key: 2}


def test_tasks_without_an_output_are_done_by_each_process(store: Store, free: threading.Event) -> None:
    made, task = Counter[str](), Task("load m", TaskKind.LOAD.value, "loading m")
    workspace = ClaimingWorkbench(Making(store, made, free), store)
    assert [workspace.run(task, SILENT) for _ in range(2)] == ["loading m"] * 2
    inner = Making(store, made, free)
    ClaimingWorkbench(inner, store).close()
    assert inner.is_closed


def test_two_runs_at_once_make_nothing_twice(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sequela.scheduling.graph_run.SECONDS_BETWEEN_LOOKS", 0.0)
    made, free = Counter[str](), threading.Event()
    bases = [making(f"base {i}") for i in range(3)]
    tasks = [*bases, *(making(f"{base.label}, {i}", base) for base in bases for i in range(5))]
    ended: list[list[State]] = []

    def run() -> None:
        workspace = ClaimingWorkbench(Making(store, made, free), store)
        executor = InlineExecutor(lambda: workspace)
        scheduler = Scheduler(TaskGraph(tasks), executor, lambda task: store.has(Address.parse(task.key)))
        ended.append([one.state for one in scheduler.run()])

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    free.set()
    for thread in threads:
        thread.join(60)
    assert made == {task.key: 1 for task in tasks}
    assert len(ended) == 3
    assert {state for states in ended for state in states} <= {State.DONE, State.STORED}
    done = sum(state is State.DONE for states in ended for state in states)
    assert done == len(tasks)
