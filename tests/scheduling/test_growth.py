"""Graphs that grow: the same outcomes and order as those of the whole graph, whenever which task ends."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.core.errors import BadInputError, SequelaError
from sequela.scheduling import (
    Executor,
    InlineExecutor,
    Outcome,
    ProcessExecutor,
    Resources,
    Scheduler,
    Task,
    TaskGraph,
    numbered_workers,
)
from sequela.scheduling.growth import Growth
from support.scheduling import (
    PAYLOADS,
    FolderBench,
    Recorder,
    ShuffledExecutor,
    expected_states,
    folder_workbench,
    outputs,
    stored_in,
    task,
)

Additions = Mapping[str, Sequence[Task]]


def run(
    tasks: Iterable[Task],
    added: Additions | Callable[[Outcome], Iterable[Task]],
    folder: Path,
    executor: Executor | None = None,
    listener: Recorder | None = None,
) -> list[Outcome]:
    """Runs tasks with a folder as the store; others are added behind them."""
    expand = added if callable(added) else lambda outcome: added.get(outcome.task.key, ())
    used = executor or InlineExecutor(folder_workbench(folder))
    return Scheduler(TaskGraph(tasks), used, stored_in(folder), listener, expand=expand).run()


def words(outcomes: Iterable[Outcome]) -> list[tuple[str, object, list[str]]]:
    return [(str(one), one.result, [failure.error for failure in one.failures]) for one in outcomes]


@st.composite
def growing(draw: st.DrawFn) -> tuple[list[Task], Additions]:
    """Tasks, and others that follow from some of them, or from two of them.

    Those need the former, one another, or what led to them.
    """
    n = draw(st.integers(1, 10))
    parents = [draw(st.none() | st.integers(0, i - 1)) if i else None for i in range(n)]
    first = [i for i in range(n) if parents[i] is None]
    known: dict[int | None, set[int]] = {None: set(first)}
    tasks: list[Task] = []
    for i in range(n):
        siblings = {j for j in range(n) if parents[j] == parents[i]}
        known[i] = known[parents[i]] | siblings
        usable = {j for j in known[i] if j < i or (j in first and i not in first)}
        needs = draw(st.sets(st.sampled_from(sorted(usable)), max_size=3)) if usable else set()
        payload, weight = draw(st.sampled_from(PAYLOADS)), float(draw(st.integers(0, 5)))
        tasks.append(task(f"t{i}", *(f"t{j}" for j in sorted(needs)), payload=payload, weight=weight))
    added: dict[str, list[Task]] = {}
    for i in range(n):
        children = [j for j in range(n) if parents[j] == i]
        again = [j for j in sorted(known[i]) if draw(st.integers(0, 9)) == 0]
        if children or again:
            added[f"t{i}"] = [tasks[j] for j in draw(st.permutations([*children, *again]))]
    return [tasks[i] for i in draw(st.permutations(first))], added


def whole(tasks: Iterable[Task], added: Additions) -> TaskGraph:
    """Returns the graph with everything that follows from tasks that succeed, given at once."""
    growth, count = Growth(TaskGraph(tasks)), -1
    while len(growth.graph) + len(growth.added) > count:
        count = len(growth.graph) + len(growth.added)
        for key, state in expected_states(growth.graph).items():
            if state == "done" and key in added:
                growth = growth.grown(growth.graph[key], added[key])
    return TaskGraph(growth.graph)


@settings(deadline=None, max_examples=100)
@given(both=growing(), n=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_graph_that_grows_ends_like_the_whole_graph(
    both: tuple[list[Task], Additions], n: int, seed: int
) -> None:
    tasks, added = both
    at_once = whole(tasks, added)
    found = []
    for case in ("at once", "inline", "shuffled"):
        with tempfile.TemporaryDirectory() as name:
            folder, listener = Path(name), Recorder()
            executor = ShuffledExecutor(FolderBench(folder), n, seed) if case == "shuffled" else None
            at_start, later = ([*at_once], {}) if case == "at once" else (tasks, added)
            outcomes = run(at_start, later, folder, executor, listener)
            assert listener.collected_outcomes == outcomes
            assert sorted(one.task.key for one in outcomes) == sorted(at_once.keys)
            done = [one.task.key for one in outcomes if one.state.value == "done"]
            assert sorted(listener.keys("done")) == sorted(done)
            found.append((words(outcomes), outputs(folder)))
    assert found[0] == found[1] == found[2]
    assert [one.task.key for one in outcomes] == list(at_once.keys)


@settings(deadline=None, max_examples=60)
@given(both=growing(), n=st.integers(2, 4), seed=st.integers(0, 99), data=st.data())
def test_what_is_done_of_a_stored_part_does_not_depend_on_the_order_of_completion(
    both: tuple[list[Task], Additions], n: int, seed: int, data: st.DataObject
) -> None:
    tasks, added = both
    with tempfile.TemporaryDirectory() as name:
        first = Path(name, "first")
        first.mkdir()
        keys = [one.task.key for one in run(tasks, added, first)]
        for key in sorted(outputs(first)):
            if data.draw(st.booleans()):
                (first / key).unlink()
        found = []
        for case in ("inline", "shuffled"):
            folder, listener = Path(name, case), Recorder()
            shutil.copytree(first, folder)
            executor = ShuffledExecutor(FolderBench(folder), n, seed) if case == "shuffled" else None
            outcomes = run(tasks, added, folder, executor, listener)
            collected = [one.task.key for one in listener.collected_outcomes]
            assert collected == [one.task.key for one in outcomes]
            assert set(collected) <= set(keys)
            found.append((words(outcomes), outputs(folder)))
    assert found[0] == found[1]


@settings(deadline=None, max_examples=30)
@given(both=growing(), seed=st.integers(0, 99))
def test_lost_workers_do_not_change_the_order(both: tuple[list[Task], Additions], seed: int) -> None:
    tasks, added = both
    with tempfile.TemporaryDirectory() as name:
        folder, listener = Path(name), Recorder()
        executor = ShuffledExecutor(FolderBench(folder), 3, seed, losses=0.1)
        outcomes = run(tasks, added, folder, executor, listener)
    assert listener.collected_outcomes == outcomes
    assert len({one.task.key for one in outcomes}) == len(outcomes)


def fingerprint(outcome: Outcome) -> list[Task]:
    """Returns the tasks that follow from the result of another; their keys hold it."""
    if outcome.task.kind != "resolve" or outcome.result is None:
        return []
    key = str(outcome.result)[:8]
    model = outcome.task.key
    return [
        task(f"{key} edit 1", model, place=(model,)),
        task(f"{key} edit 2", f"{key} edit 1", place=(model,)),
        *(task(f"{key} score {i}", f"{key} edit {i}", place=(model,)) for i in (1, 2)),
    ]


def test_keys_follow_from_results_of_worker_processes(tmp_path: Path) -> None:
    """As in a study: the keys of all tasks of a model hold the fingerprint that a worker has found."""
    tasks = [task(f"model {i}", kind="resolve") for i in range(3)] + [task("last")]
    found = []
    for name in ("inline", "processes"):
        folder, listener = tmp_path / name, Recorder()
        folder.mkdir()
        executor = (
            InlineExecutor(folder_workbench(folder))
            if name == "inline"
            else ProcessExecutor(folder_workbench(folder), numbered_workers(3))
        )
        outcomes = run(tasks, fingerprint, folder, executor, listener)
        assert listener.collected_outcomes == outcomes
        found.append((words(outcomes), outputs(folder)))
    assert found[0] == found[1]
    labels = [one.task.label for one in outcomes]
    assert len(labels) == 16
    assert [labels.index(f"task model {i}") for i in range(3)] == [0, 5, 10]
    assert labels[-1] == "task last"


def test_what_follows_from_a_stored_task_is_asked_for_again(tmp_path: Path) -> None:
    added = {"a": [task("b", "a"), task("c", "b")], "c": [task("d", "c")]}
    run([task("a"), task("z")], added, tmp_path)
    (tmp_path / "d").unlink()
    outcomes = run([task("a"), task("z")], added, tmp_path)
    assert [str(one) for one in outcomes] == [
        "task a: stored",
        "task b: stored",
        "task c: stored",
        "task d: done",
        "task z: stored",
    ]


def test_a_task_that_was_not_needed_is_done_for_one_that_joins(tmp_path: Path) -> None:
    tasks = [task("p"), task("r", "p"), task("a")]
    run(tasks, {}, tmp_path)
    (tmp_path / "p").unlink()
    listener = Recorder()
    outcomes = run(tasks, {"a": [task("x", "p")]}, tmp_path, listener=listener)
    assert [(one.task.key, one.state.value) for one in outcomes] == [
        ("p", "done"),
        ("r", "stored"),
        ("a", "stored"),
        ("x", "done"),
    ]
    assert [one.task.key for one in listener.collected_outcomes] == ["p", "r", "a", "x"]


def test_tasks_that_join_need_what_has_failed(tmp_path: Path) -> None:
    tasks = [task("bad", payload="fail"), task("a"), task("late", payload="skip")]
    outcomes = run(tasks, {"a": [task("x", "bad"), task("y", "x"), task("w", "late")]}, tmp_path)
    assert [str(one) for one in outcomes][2:] == [
        "task x: not run: 'task bad' failed",
        "task y: not run: 'task bad' failed",
        "task late: skipped: stopped early",
        "task w: skipped: stopped early",
    ]


@pytest.mark.parametrize("is_stored", [False, True])
def test_a_refusal_is_a_failure_of_the_task_and_of_all_that_need_it(is_stored: bool, tmp_path: Path) -> None:
    tasks = [task("a", payload="fail 1"), task("b", "a"), task("c")]
    if is_stored:
        run(tasks[:1], {}, tmp_path)

    def refuse(outcome: Outcome) -> list[Task]:
        if outcome.task.key == "a":
            raise BadInputError("The model has no layer 40.", hint="It has 12.")
        return []

    listener = Recorder()
    outcomes = run(tasks, refuse, tmp_path, listener=listener)
    tries = "" if is_stored else " after 2 tries"
    assert [str(one) for one in outcomes] == [
        f"task a: failed{tries}: The model has no layer 40.\nIt has 12.",
        "task b: not run: 'task a' failed",
        "task c: done",
    ]
    assert listener.collected_outcomes == outcomes


def test_what_never_fits_is_a_failure_of_the_task_from_which_it_follows(tmp_path: Path) -> None:
    big = task("big", resources=Resources(memory=80 * 2**30))
    added = {"a": [task("x"), big], "b": [task("y")]}
    executor = InlineExecutor(folder_workbench(tmp_path), Resources(memory=2**30))
    outcomes = run([task("a"), task("b")], added, tmp_path, executor)
    assert [one.task.key for one in outcomes] == ["a", "b", "y"]
    assert "'task big' needs 80.00 GiB of memory, but no worker has more than 1.00 GiB" in str(outcomes[0])
    (tmp_path / "big").write_text("stored")
    assert [one.has_output for one in run([task("a")], added, tmp_path, executor)] == [True] * 3


@pytest.mark.parametrize(
    ("tasks", "problem"),
    [
        ([task("x", "unknown")], "'task x' needs what no task makes: unknown"),
        ([task("x", "y"), task("y", "x")], "circle: 'task x' needs 'task y' needs 'task x'"),
        ([task("b", "a")], "Two different tasks have the key b: 'task b', which differ in needs"),
    ],
)
def test_what_does_not_fit_the_graph_ends_the_run(tasks: list[Task], problem: str, tmp_path: Path) -> None:
    executor = ShuffledExecutor(FolderBench(tmp_path), 2, 0)
    with pytest.raises(SequelaError, match=f"What follows from 'task a' can't be added.*{problem}"):
        run([task("a"), task("b")], {"a": tasks}, tmp_path, executor)
    assert not executor.is_open


def test_a_long_row_of_tasks_each_of_which_leads_to_the_next(tmp_path: Path) -> None:
    added = {f"t{i}": [task(f"t{i + 1}", f"t{i}")] for i in range(300)}
    outcomes = run([task("t0"), task("end")], added, tmp_path)
    assert [one.task.key for one in outcomes] == [*(f"t{i}" for i in range(301)), "end"]


def test_an_order_is_that_of_the_first_place_of_a_task() -> None:
    """Two tasks lead to one: it is behind the first, and what follows from it too, whichever grew first."""
    a, b, x, y = (task(key) for key in "abxy")
    start = Growth(TaskGraph([a, b]))
    one = start.grown(a, [x]).grown(x, [y]).grown(b, [x])
    other = start.grown(b, [x]).grown(x, [y]).grown(a, [x])
    assert one.graph.keys == other.graph.keys == ("a", "x", "y", "b")
