"""Runs on real Ray clusters of this machine: the same results, also when actors and nodes die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sequela.core.errors import SequelaError
from sequela.core.progress import Progress
from sequela.scheduling import (
    Failure,
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
)
from support.scheduling import (
    PATIENCE,
    Lines,
    Recorder,
    folder_bench,
    hanging_pids,
    is_alive,
    outputs,
    stored_in,
    task,
    wait_until,
)

MARK = "SEQUELA_TEST_OF_RAY"
"""The environment variable by which the processes of a test are known."""

STORE = 80 * 2**20

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path("/proc/self/environ").exists(), reason="the system doesn't list the processes"
    ),
]


def marked_pids(mark: str) -> list[int]:
    """Returns the processes that a test has started, directly or not, and that are there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        pid = int(path.parent.name)
        try:
            if f"{MARK}={mark}".encode() in path.read_bytes() and is_alive(pid) and pid != os.getpid():
                found.append(pid)
        except OSError:
            continue
    return found


def pids_named(mark: str, words: str) -> list[int]:
    return [pid for pid in marked_pids(mark) if words in Path(f"/proc/{pid}/cmdline").read_text()]


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The mark of all processes of a test; none is left after it."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    value = uuid.uuid4().hex
    monkeypatch.setenv(MARK, value)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    yield value
    try:
        wait_until(lambda: not marked_pids(value))
    except TimeoutError:
        left = [Path(f"/proc/{pid}/cmdline").read_text() for pid in marked_pids(value)]
        for pid in marked_pids(value):
            os.kill(pid, signal.SIGKILL)
        raise AssertionError(f"these processes are left: {left}") from None


@pytest.fixture
def cluster(mark: str) -> Iterator[Any]:
    """A cluster of two nodes with a CPU each; the first one is the head."""
    from ray.cluster_utils import Cluster

    health = {
        "health_check_initial_delay_ms": 500,
        "health_check_period_ms": 500,
        "health_check_timeout_ms": 2000,
    }
    nodes = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 1,
            "object_store_memory": STORE,
            "include_dashboard": False,
            "_system_config": {**health, "health_check_failure_threshold": 3},
        },
    )
    try:
        nodes.add_node(num_cpus=1, object_store_memory=STORE)
        nodes.wait_for_nodes()
        yield nodes
    finally:
        nodes.shutdown()


def run(
    tasks: Sequence[Task], folder: Path, address: str, listener: Recorder | None = None, n: int = 2
) -> list[Outcome]:
    executor = RayExecutor(folder_bench(folder), numbered_workers(n), address, patience=PATIENCE)
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
        bench = folder_bench(folder)
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
