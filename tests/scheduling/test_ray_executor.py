"""Runs on real Ray clusters of this machine: the same results, also when actors and nodes die."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from sequela.core.errors import SequelaError
from sequela.core.progress import Progress
from sequela.scheduling import (
    InlineExecutor,
    LabeledProgress,
    Outcome,
    RayExecutor,
    Resources,
    Scheduler,
    Task,
    TaskGraph,
    fitting_workers,
    numbered_workers,
    ray_cluster,
)
from sequela.scheduling.ray_cluster import LOOPBACK
from support.ray_clusters import STORE, Background, marked, marked_pids, needs_processes, parent, two_nodes
from support.scheduling import (
    PATIENCE,
    PAYLOADS,
    Lines,
    Recorder,
    expected_states,
    folder_workbench,
    hanging_pids,
    is_alive,
    outputs,
    stored_in,
    task,
    wait_until,
)

pytestmark = [pytest.mark.slow, needs_processes]


@pytest.fixture
def mark() -> Iterator[str]:
    """The mark of all processes of a test; none is left after it."""
    with marked() as value:
        yield value


@pytest.fixture
def cluster(mark: str) -> Iterator[Any]:
    """A cluster of two nodes with a CPU each; the first one is the head."""
    with two_nodes() as nodes:
        yield nodes


NODE = f"{socket.gethostname()} ({LOOPBACK})"


def run(
    tasks: Sequence[Task], folder: Path, address: str, listener: Recorder | None = None, n: int = 2
) -> list[Outcome]:
    executor = RayExecutor(folder_workbench(folder), numbered_workers(n), address, patience=PATIENCE)
    return Scheduler(TaskGraph(tasks), executor, stored_in(folder), listener).run()


def words(outcomes: Sequence[Outcome]) -> list[tuple[str, object, list[str]]]:
    return [(str(one), one.result, [failure.error for failure in one.failures]) for one in outcomes]


def test_results_are_those_of_one_process(
    cluster: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Failures, skipped tasks, damaged outputs and a graph that grows included; and Ray is silent."""
    tasks = [task(f"t{i}", *(f"t{j}" for j in (i - 1, i - 3) if j >= 0 and i % 5)) for i in range(20)]
    tasks += [task("bad", "t3", payload="fail"), task("after", "bad"), task("late", "t4", payload="fail 2")]
    tasks += [task("skip", "t5", payload="skip"), task("input", payload="refuse")]
    tasks += [task("again", "t6", payload="unreadable t6")]
    added = {"t2": [task("x", "t2"), task("y", "x", "t19")]}
    found = []
    for name in ("inline", "ray"):
        folder, listener = tmp_path / name, Recorder()
        folder.mkdir()
        bench = folder_workbench(folder)
        executor = (
            InlineExecutor(bench)
            if name == "inline"
            else RayExecutor(bench, numbered_workers(2), cluster.address)
        )
        outcomes = Scheduler(
            TaskGraph(tasks),
            executor,
            stored_in(folder),
            listener,
            expand=lambda outcome: added.get(outcome.task.key, ()),
        ).run()
        assert listener.collected_outcomes == outcomes
        found.append((words(outcomes), outputs(folder)))
    assert found[0] == found[1]
    assert "".join(capfd.readouterr()) == ""


def random_tasks(seed: int) -> list[Task]:
    """Returns tasks with random needs, some of which fail, are skipped, or find an output damaged."""
    random = Random(seed)
    tasks = []
    for i in range(15):
        needs = [f"t{j}" for j in sorted(random.sample(range(i), random.randint(0, min(i, 3))))]
        damaged = [f"unreadable {needs[0]}"] if needs else []
        payload = random.choice([*PAYLOADS, *damaged])
        tasks.append(task(f"t{i}", *needs, payload=payload, place=(random.choice("xy"),)))
    return random.sample(tasks, len(tasks))


def test_random_graphs_end_like_in_one_process(cluster: Any, tmp_path: Path) -> None:
    for seed in range(4):
        graph = TaskGraph(random_tasks(seed))
        found = []
        for name in ("inline", "ray"):
            folder = tmp_path / f"{name} {seed}"
            folder.mkdir()
            if name == "ray":
                outcomes = run([*graph], folder, cluster.address)
            else:
                inline = InlineExecutor(folder_workbench(folder))
                outcomes = Scheduler(graph, inline, stored_in(folder)).run()
            found.append((words(outcomes), outputs(folder)))
        assert found[0] == found[1]
        assert {one.task.key: one.state.value for one in outcomes} == expected_states(graph)


def test_a_node_that_dies_is_replaced_by_another_one(
    cluster: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its task is done elsewhere; the worker comes back when a node has room for it again."""
    names = [f"t{i}" for i in range(6)]
    first = [task("a", payload="hang 1"), task("b", payload="hang 1")]
    middle = [task(name, "a", "b") for name in names]
    last = [task("c", *names, payload="hang 1"), task("d", *names, payload="hang 1")]
    listener = Recorder()

    outcomes: list[Outcome] = []
    tasks = [*first, *middle, *last]
    # Nodes can only be added by the main thread.
    with Background(lambda: outcomes.extend(run(tasks, tmp_path, cluster.address, listener))):
        pids = dict(zip("ab", (hanging_pids(tmp_path, key) for key in "ab"), strict=True))
        cluster.remove_node(cluster.list_all_nodes()[1], allow_graceful=False)
        wait_until(lambda: len(listener.lost) == 1)
        (left,) = [key for key in "ab" if is_alive(pids[key][0])]
        (gone,) = {*"ab"} - {left}
        wait_until(lambda: not any(map(is_alive, pids[gone])))
        os.kill(pids[left][0], signal.SIGKILL)
        cluster.add_node(num_cpus=1, object_store_memory=STORE, node_ip_address=LOOPBACK)
        # Both run at once only if there are two workers again.
        for pid in [hanging_pids(tmp_path, key)[0] for key in "cd"]:
            os.kill(pid, signal.SIGKILL)
    assert [str(one) for one in outcomes] == [f"task {key}: done" for key in ("a", "b", *names, "c", "d")]
    reasons = [reason for _, reason in listener.lost]
    killed = "it was killed (SIGKILL), as systems do when memory runs out"
    assert reasons == [f"its node {NODE} is gone", killed, killed, killed]
    assert "raylet" not in "".join(capfd.readouterr()).lower()
    assert listener.collected_outcomes == outcomes


def test_an_actor_that_dies_is_replaced(cluster: Any, tmp_path: Path) -> None:
    listener = Recorder()
    pids: list[int] = []

    def kill() -> None:
        pids.extend(hanging_pids(tmp_path, "a"))
        os.kill(parent(pids[0]), signal.SIGKILL)

    with Background(kill):
        outcomes = run([task("a", payload="hang 1"), task("b", "a")], tmp_path, cluster.address, listener)
    assert [one.state.value for one in outcomes] == ["done", "done"]
    ((name, reason),) = listener.lost
    assert reason == f"its actor on the node {NODE} ended or can't be reached any more"
    assert [one.error for one in outcomes[0].failures] == [f"{name} ended during the task: {reason}."]
    wait_until(lambda: not any(map(is_alive, pids)))


def test_a_crash_has_a_reason_and_a_log(cluster: Any, tmp_path: Path) -> None:
    listener = Recorder()
    a, b = run([task("a", payload="crash"), task("b")], tmp_path, cluster.address, listener, n=1)
    assert str(a).endswith("it crashed by an invalid access to memory (SIGSEGV).")
    assert "in crash" in a.log
    assert b.state.value == "done"
    assert len(listener.lost) == 3


def test_a_running_task_is_cancelled(cluster: Any, tmp_path: Path) -> None:
    tasks = [task("a", payload="stay"), task("b", "a"), task("c")]
    listener = Recorder()
    executor = RayExecutor(folder_workbench(tmp_path), numbered_workers(1), cluster.address)
    scheduler = Scheduler(TaskGraph(tasks), executor, stored_in(tmp_path), listener)
    pids: list[int] = []

    def cancel() -> None:
        pids.extend(hanging_pids(tmp_path, "a"))
        scheduler.cancel(["a"])

    with Background(cancel):
        outcomes = scheduler.run()
    assert [one.state.value for one in outcomes] == ["cancelled", "cancelled", "done"]
    assert listener.lost == []
    wait_until(lambda: not any(map(is_alive, pids)))


def test_a_worker_keeps_its_workbench_and_has_its_environment(cluster: Any, tmp_path: Path) -> None:
    """Two of three workers have room; the third is absent and gets no task."""

    class Listening(Recorder):
        names: set[str]

        def started(self, task: Task, worker: str) -> None:
            super().started(task, worker)
            self.names.add(worker)

    listener = Listening()
    listener.names = set()
    workers = numbered_workers(3, environment={"SEQUELA_TEST": "yes"})
    tasks = [task(f"t{i}", payload="identify") for i in range(8)] + [task("env", payload="tell SEQUELA_TEST")]
    executor = RayExecutor(folder_workbench(tmp_path), workers, cluster.address)
    *ids, environment = [
        one.result for one in Scheduler(TaskGraph(tasks), executor, stored_in(tmp_path), listener).run()
    ]
    assert environment == "yes"
    assert len(listener.names) <= 2
    assert len(set(ids)) <= 2
    assert all(isinstance(one, tuple) and one[0] == one[1] for one in ids)


def test_progress_and_warnings_come_to_the_main_process(
    cluster: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = Lines()

    class Listening(Recorder):
        def progress(self, worker: str) -> Progress:
            return LabeledProgress(lines, worker)

    run([task("a", payload="report 2000")], tmp_path, cluster.address, Listening(), n=1)
    assert lines.lines == [
        "start worker 1: items 2000",
        "finish 8",
        "start worker 1: never ended None",
        "worker 1: done with a",
        "finish 10",
    ]
    assert lines.units == 2000
    assert ("sequela.test", 30, "worker 1: a warning of a") in caplog.record_tuples


def test_what_can_not_be_sent_is_a_failure_in_words(cluster: Any, tmp_path: Path) -> None:
    tasks = [
        task("lock", payload=threading.Lock()),
        task("lambda", payload=lambda: None),
        task("unsendable", payload="unsendable"),
        task("unloadable", payload="unloadable"),
        task("fine"),
    ]
    lock, function, unsendable, unloadable, fine = map(str, run(tasks, tmp_path, cluster.address))
    assert "pickle" in lock
    assert "pickle" in function
    assert "The result can't be sent: " in unsendable
    assert "The result can't be read: ValueError" in unloadable
    assert fine == "task fine: done"


def test_what_the_nodes_can_not_do_ends_the_run_with_a_message(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("def bench():\n    raise AssertionError\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here  # type: ignore[import-not-found]

    executor = RayExecutor(only_here.bench, numbered_workers(1), cluster.address)
    with pytest.raises(SequelaError, match=r"worker 1 can't be started on the Ray cluster: .*only_here"):
        Scheduler(TaskGraph([task("a")]), executor, lambda task: False).run()
    big = numbered_workers(2, Resources(memory=2**50))
    executor = RayExecutor(folder_workbench(tmp_path), big, cluster.address, patience=0.5)
    with pytest.raises(
        SequelaError, match=r"No node .* 1 CPU and 1048576\.00 GiB of memory\. The nodes: .*\(1 CPU, "
    ):
        Scheduler(TaskGraph([task("a")]), executor, lambda task: False).run()


def test_as_many_workers_as_have_room(cluster: Any) -> None:
    workers = fitting_workers(cluster.address, Resources(memory=2**20), 0.5, {"A": "b"})
    assert [(one.name, one.environment) for one in workers] == [
        (f"worker {i}", {"A": "b"}) for i in (1, 2, 3, 4)
    ]
    with pytest.raises(SequelaError, match=r"room for a worker with 1 CPU and 1 GPU and 0 bytes"):
        fitting_workers(cluster.address, Resources(gpus=1))


def test_a_cluster_of_another_version(cluster: Any, tmp_path: Path) -> None:
    """The versions that the head states are replaced by those of another one."""
    ray = ray_cluster.import_ray()
    ray.init(cluster.address, log_to_driver=False)
    try:
        place = (b"CLUSTER_METADATA", b"cluster")
        told = json.loads(ray.experimental.internal_kv._internal_kv_get(place[0], namespace=place[1]))
        other = json.dumps({**told, "ray_version": "2.1.0"}).encode()
        ray.experimental.internal_kv._internal_kv_put(place[0], other, namespace=place[1])
    finally:
        ray.shutdown()
    with pytest.raises(SequelaError, match=r"has Ray 2\.1\.0 and .*; this process has Ray 2\.") as caught:
        run([task("a")], tmp_path, cluster.address)
    assert "Install the same versions here" in str(caught.value)


MAIN = """
import signal, sys
from pathlib import Path
from sequela.scheduling import RayExecutor, Scheduler, TaskGraph, numbered_workers
from support.scheduling import folder_workbench, stored_in, task

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if the tests run in the background
folder = Path(sys.argv[1])
tasks = [task("done"), *(task(key, "done", payload="hang") for key in "ab"), task("never", "a", "b")]
executor = RayExecutor(folder_workbench(folder), numbered_workers(2), cpus=0.5)
try:
    Scheduler(TaskGraph(tasks), executor, stored_in(folder)).run()
except KeyboardInterrupt:
    sys.exit(42)
"""


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, 42), (signal.SIGTERM, 42), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_cluster_of_its_own_ends_with_the_main_process(
    sent: int, status: int, mark: str, tmp_path: Path
) -> None:
    """The whole group of processes gets the signal, as with Ctrl-C in a terminal."""
    main = subprocess.Popen(
        [sys.executable, "-c", MAIN, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    pids = hanging_pids(tmp_path, "ab")
    os.killpg(main.pid, sent)
    printed, _ = main.communicate(timeout=PATIENCE)
    assert main.returncode == status
    assert printed.decode() == ""
    wait_until(lambda: not any(map(is_alive, [*pids, *marked_pids(mark)])))
    assert list(outputs(tmp_path)) == ["done"]


def test_a_run_with_a_cluster_of_its_own(mark: str, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    executor = RayExecutor(folder_workbench(tmp_path), numbered_workers(2), cpus=0.5)
    for key in "ab":
        (outcome,) = Scheduler(TaskGraph([task(key)]), executor, stored_in(tmp_path)).run()
        assert outcome.has_output
        assert marked_pids(mark) == []
    assert signal.getsignal(signal.SIGTERM) == before
    assert "RAY_DEDUP_LOGS" not in os.environ
