"""Runs on real processes: the same results, and no trace of workers that crash, hang or lose their parent."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from sequela.core.progress import Progress
from sequela.scheduling import (
    InlineExecutor,
    LabeledProgress,
    Outcome,
    ProcessExecutor,
    Scheduler,
    Task,
    TaskGraph,
    numbered_workers,
)
from sequela.scheduling.worker_process import ending_in_words
from support.scheduling import (
    PATIENCE,
    Lines,
    Recorder,
    broken_workbench,
    folder_workbench,
    hanging_pids,
    is_alive,
    outputs,
    stored_in,
    task,
    wait_until,
)


def run(
    tasks: Sequence[Task], folder: Path, n: int = 1, listener: Recorder | None = None, grace: float = PATIENCE
) -> list[Outcome]:
    """Runs tasks in worker processes, none of which is left."""
    executor = ProcessExecutor(folder_workbench(folder), numbered_workers(n), grace)
    return Scheduler(TaskGraph(tasks), executor, stored_in(folder), listener).run()


def test_results_are_those_of_one_process(tmp_path: Path) -> None:
    """Failures, skipped tasks and damaged outputs included; only logs and times differ."""
    tasks = [task(f"t{i}", *(f"t{j}" for j in (i - 1, i - 3) if j >= 0 and i % 5)) for i in range(20)]
    tasks += [task("bad", "t3", payload="fail"), task("after", "bad"), task("late", "t4", payload="fail 2")]
    tasks += [task("skip", "t5", payload="skip"), task("input", payload="refuse")]
    tasks += [task("again", "t6", payload="unreadable t6")]
    found = []
    for n in (0, 3):
        folder, listener = tmp_path / str(n), Recorder()
        folder.mkdir()
        if n:
            outcomes = run(tasks, folder, n, listener)
        else:
            inline = InlineExecutor(folder_workbench(folder))
            outcomes = Scheduler(TaskGraph(tasks), inline, stored_in(folder), listener).run()
        assert listener.collected_outcomes == outcomes
        words = [(str(one), one.result, [failure.error for failure in one.failures]) for one in outcomes]
        found.append((words, outputs(folder)))
    assert found[0] == found[1]


def test_a_worker_keeps_its_workbench_and_has_its_environment(tmp_path: Path) -> None:
    tasks = [task(f"t{i}", payload="identify") for i in range(3)] + [task("env", payload="tell SEQUELA_TEST")]
    workers = numbered_workers(1, environment={"SEQUELA_TEST": "yes"})
    executor = ProcessExecutor(folder_workbench(tmp_path), workers)
    *ids, environment = [
        one.result for one in Scheduler(TaskGraph(tasks), executor, stored_in(tmp_path)).run()
    ]
    assert environment == "yes"
    assert "SEQUELA_TEST" not in os.environ
    ((pid, built_by),) = {one for one in ids if isinstance(one, tuple)}
    assert pid == built_by != os.getpid()


def test_a_worker_imports_no_more_than_its_workbench_does(tmp_path: Path) -> None:
    tasks = [
        task(module, payload=f"imported {module}")
        for module in ("torch", "pydantic", "ray", "sequela.core.errors")
    ]
    assert [one.result for one in run(tasks, tmp_path)] == [False, False, False, True]


def test_progress_and_warnings_come_to_the_main_process_with_the_workers_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = Lines()

    class Listening(Recorder):
        def progress(self, worker: str) -> Progress:
            return LabeledProgress(lines, worker)

    run([task("a", payload="report 2000")], tmp_path, listener=Listening())
    assert lines.lines == [
        "start worker 1: items 2000",
        "finish 8",
        "start worker 1: never ended None",
        "worker 1: done with a",
        "finish 10",
    ]
    assert lines.units == 2000
    warning = ("sequela.test", logging.WARNING, "worker 1: a warning of a")
    assert warning in caplog.record_tuples


def test_a_killed_worker_is_replaced_and_its_task_tried_again(tmp_path: Path) -> None:
    listener = Recorder()
    tasks = [task("a"), task("b", payload="die 9 1"), task("c", "b")]
    outcomes = run(tasks, tmp_path, listener=listener)
    assert [one.state.value for one in outcomes] == ["done"] * 3
    assert listener.lost == [("worker 1", "it was killed (SIGKILL), as systems do when memory runs out")]
    (failure,) = outcomes[1].failures
    assert failure.error == f"worker 1 ended during the task: {listener.lost[0][1]}."
    assert "the last words" in failure.log
    assert listener.keys("retried") == ["b"]


def test_a_worker_that_is_killed_while_it_has_no_task_costs_no_try(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Killing(Recorder):
        def finished(self, outcome: Outcome) -> None:
            super().finished(outcome)
            if outcome.task.key == "a" and isinstance(outcome.result, tuple):
                os.kill(outcome.result[0], signal.SIGKILL)
                wait_until(lambda: not is_alive(outcome.result[0]))  # type: ignore[index]

    listener = Killing()
    tasks = [task(key, payload="identify") for key in "ab"]
    a, b = run(tasks, tmp_path, listener=listener)
    assert a.result != b.result
    assert b.failures == ()
    assert "worker 1 ended while it had no task: it was killed (SIGKILL)" in caplog.text


def test_a_task_that_crashes_its_workers_fails_with_the_log(tmp_path: Path) -> None:
    listener = Recorder()
    tasks = [task("a", payload="crash"), task("b", payload="leave 3"), task("c")]
    a, b, c = run(tasks, tmp_path, 2, listener)
    assert str(a).startswith("task a: failed after 3 tries: worker ")
    assert "it crashed by an invalid access to memory (SIGSEGV)" in str(a)
    assert "Segmentation fault" in a.log
    assert "in crash" in a.log
    assert str(b).endswith("it exited with status 3.")
    assert c.state.value == "done"
    assert len(listener.lost) == 6


def test_what_can_not_be_pickled_is_a_failure_in_words(tmp_path: Path) -> None:
    tasks = [
        task("a", payload=lambda: None),
        task("b", payload="unsendable"),
        task("c", payload="unloadable"),
    ]
    a, b, c, d = run([*tasks, task("d")], tmp_path)
    assert "pickle" in str(a)
    assert "The result can't be sent: " in str(b)
    assert "The result can't be read: ValueError" in str(c)
    assert d.state.value == "done"


@pytest.mark.parametrize("kind", ["raises", "unsendable"])
def test_a_factory_that_fails_is_a_failure_of_the_task(kind: str) -> None:
    factory = broken_workbench if kind == "raises" else (lambda: broken_workbench())
    executor = ProcessExecutor(factory, numbered_workers(1))
    (outcome,) = Scheduler(TaskGraph([task("a")]), executor, lambda task: False).run()
    assert outcome.state.value == "failed"
    assert ("OSError: no such model" if kind == "raises" else "pickle") in str(outcome)


def test_a_running_task_is_cancelled(tmp_path: Path) -> None:
    """The task hangs, and the process that it started too; another thread cancels it."""
    tasks = [task("a", payload="hang"), task("b", "a"), task("c")]
    executor = ProcessExecutor(folder_workbench(tmp_path), numbered_workers(1), PATIENCE)
    listener = Recorder()
    scheduler = Scheduler(TaskGraph(tasks), executor, stored_in(tmp_path), listener)
    pids: list[int] = []

    def cancel() -> None:
        pids.extend(hanging_pids(tmp_path, "a"))
        scheduler.cancel(["a"])

    thread = threading.Thread(target=cancel)
    thread.start()
    outcomes = scheduler.run()
    thread.join()
    assert [one.state.value for one in outcomes] == ["cancelled", "cancelled", "done"]
    assert listener.lost == []
    assert outcomes[1].reason == "'task a' was cancelled"
    wait_until(lambda: not any(map(is_alive, pids)))


MAIN = """
import signal, sys
from pathlib import Path
from sequela.scheduling import ProcessExecutor, Scheduler, TaskGraph, numbered_workers
from support.scheduling import folder_workbench, stored_in, task

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if the tests run in the background
folder = Path(sys.argv[1])
tasks = [task("done"), *(task(key, "done", payload=sys.argv[2]) for key in "ab"), task("never", "a", "b")]
executor = ProcessExecutor(folder_workbench(folder), numbered_workers(2), grace=float(sys.argv[3]))
try:
    Scheduler(TaskGraph(tasks), executor, stored_in(folder)).run()
except KeyboardInterrupt:
    sys.exit(42)
"""


@pytest.mark.parametrize(
    ("sent", "payload", "grace", "status"),
    [
        (signal.SIGKILL, "hang", 600, -signal.SIGKILL),
        (signal.SIGKILL, "stay", 600, -signal.SIGKILL),
        (signal.SIGINT, "hang", 600, 42),
        (signal.SIGTERM, "hang", 600, 42),
        (signal.SIGINT, "stay", 0.2, 42),
    ],
)
def test_no_worker_outlives_the_main_process(
    sent: int, payload: str, grace: float, status: int, tmp_path: Path
) -> None:
    """Nor does a process that a task started. A worker that ignores the interrupt is killed."""
    paths = os.pathsep.join(path for path in sys.path if path)
    main = subprocess.Popen(
        [sys.executable, "-c", MAIN, str(tmp_path), payload, str(grace)],
        env={**os.environ, "PYTHONPATH": paths},
    )
    pids = hanging_pids(tmp_path, "ab")
    assert all(map(is_alive, pids))
    main.send_signal(sent)
    assert main.wait(PATIENCE) == status
    wait_until(lambda: not any(map(is_alive, pids)))
    assert list(outputs(tmp_path)) == ["done"]


TORTURE = """
import signal, sys
from pathlib import Path
from sequela.scheduling import ProcessExecutor, Scheduler, TaskGraph, numbered_workers
from support.scheduling import folder_workbench, stored_in, task

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored if the tests run in the background
folder = Path(sys.argv[1])
needs = lambda i: [f"t{j}" for j in (i - 1, i - 4) if j >= 0 and i % 5]
tasks = [task(f"t{i}", *needs(i), payload="take 0.03") for i in range(60)]
outcomes = Scheduler(
    TaskGraph(tasks), ProcessExecutor(folder_workbench(folder), numbered_workers(3)), stored_in(folder)
).run()
assert all(one.has_output for one in outcomes)
"""


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_again_and_again_ends_like_one_that_is_not(sent: int, tmp_path: Path) -> None:
    """No task is done again but those that were cut, at most one for each worker and stop."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    random = Random(int(sent))
    results = []
    for is_stopped in (False, True):
        folder = tmp_path / str(is_stopped)
        folder.mkdir()
        n_stops = 0
        while True:
            main = subprocess.Popen(
                [sys.executable, "-c", TORTURE, str(folder)], env=environment, stderr=subprocess.DEVNULL
            )
            if is_stopped:
                wait_for_begun(folder, random.randint(1, 15), main)
                main.send_signal(sent)
            if main.wait(PATIENCE) == 0:
                break
            n_stops += 1
        assert n_begun(folder) <= 60 + 3 * n_stops
        results.append({key: text for key, text in outputs(folder).items() if not key.startswith(".")})
        assert is_stopped == (n_stops >= 2)
    assert len(results[0]) == 60
    assert results[0] == results[1]


def wait_for_begun(folder: Path, n: int, main: subprocess.Popen[bytes]) -> None:
    """Waits until a program has begun some more tasks, or has ended."""
    enough = n_begun(folder) + n
    wait_until(lambda: main.poll() is not None or n_begun(folder) >= enough)


def n_begun(folder: Path) -> int:
    return len((folder / "begun").read_text().split()) if (folder / "begun").exists() else 0


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the system doesn't list the processes")
def test_workers_that_are_killed_again_and_again_do_no_harm(tmp_path: Path) -> None:
    """Whatever a worker does when it is killed, its task is done once more, or was done."""

    class Killing(Recorder):
        random = Random(1)

        def started(self, task: Task, worker: str) -> None:
            super().started(task, worker)
            if self.random.random() < 0.3:
                pids = [one for one in children() if is_alive(one)]
                if pids:
                    os.kill(self.random.choice(pids), signal.SIGKILL)

    tasks = [task(f"t{i}", *([f"t{i - 3}"] if i > 2 else []), payload="take 0.02") for i in range(80)]
    listener = Killing()
    executor = ProcessExecutor(folder_workbench(tmp_path), numbered_workers(3))
    outcomes = Scheduler(TaskGraph(tasks), executor, stored_in(tmp_path), listener, tries=10).run()
    assert len(listener.lost) > 10
    assert {one.state.value for one in outcomes} == {"done"}
    assert children() == []


def children() -> list[int]:
    """Returns the processes that this one has started and that are there."""
    path = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    return [int(pid) for pid in path.read_text().split()]


@pytest.mark.parametrize("payload", ["die 9 1", "die 15 1", "fail 1"])
def test_a_process_executor_runs_again(payload: str, tmp_path: Path) -> None:
    executor = ProcessExecutor(folder_workbench(tmp_path), numbered_workers(1))
    for key in "ab":
        graph = TaskGraph([task(key, payload=payload)])
        (outcome,) = Scheduler(graph, executor, stored_in(tmp_path)).run()
        assert (outcome.state.value, len(outcome.failures)) == ("done", 1)


def test_endings_in_words() -> None:
    assert ending_in_words(0) == "it exited with status 0"
    assert ending_in_words(-signal.SIGUSR1) == f"it was ended by signal {signal.SIGUSR1.value} (SIGUSR1)"
    assert ending_in_words(-60) == "it was ended by signal 60"
