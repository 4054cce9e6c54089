"""Runs of graphs: every task after its needs, once; failures, retries, pause, cancel; what listeners hear."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.core.errors import BadInputError
from sequela.core.progress import Progress
from sequela.scheduling import (
    Cause,
    Executor,
    InlineExecutor,
    Lost,
    Outcome,
    Report,
    Resources,
    Scheduler,
    State,
    Task,
    TaskGraph,
    simulate,
)
from support.scheduling import (
    PAYLOADS,
    FolderBench,
    Recorder,
    ShuffledExecutor,
    broken_workbench,
    expected_states,
    folder_workbench,
    outputs,
    stored_in,
    task,
)


def run(
    graph: TaskGraph, folder: Path, executor: Executor | None = None, listener: Recorder | None = None
) -> list[Outcome]:
    """Runs a graph with a folder as the store, by default in this process."""
    used = executor or InlineExecutor(folder_workbench(folder))
    return Scheduler(graph, used, stored_in(folder), listener).run()


def states(outcomes: list[Outcome]) -> dict[str, str]:
    return {one.task.key: one.state.value for one in outcomes}


@st.composite
def graphs(draw: st.DrawFn, damages: bool = False) -> TaskGraph:
    """Graphs of tasks some of which fail, once or always, are skipped, or refuse their input.

    With damages, others find the outputs of some needs damaged, the first time.
    """
    tasks = []
    for i in range(draw(st.integers(0, 10))):
        needs = draw(st.sets(st.integers(0, i - 1), max_size=3)) if i else set()
        place = tuple(draw(st.lists(st.sampled_from("xy"), max_size=2)))
        needed = [f"t{j}" for j in sorted(needs)]
        damaged = [" ".join(["unreadable", *some]) for some in (needed, needed[:1]) if some and damages]
        payloads = st.sampled_from([*PAYLOADS, *damaged])
        weight = float(draw(st.integers(0, 5)))
        tasks.append(task(f"t{i}", *needed, payload=draw(payloads), place=place, weight=weight))
    return TaskGraph(draw(st.permutations(tasks)))


@settings(deadline=None, max_examples=60)
@given(graph=graphs(), n=st.integers(1, 4), seed=st.integers(0, 99))
def test_every_executor_comes_to_the_same_end(graph: TaskGraph, n: int, seed: int) -> None:
    results = []
    for is_inline in (True, False):
        with tempfile.TemporaryDirectory() as name:
            folder, listener = Path(name), Recorder()
            executor = None if is_inline else ShuffledExecutor(FolderBench(folder), n, seed)
            outcomes = run(graph, folder, executor, listener)
            begun = (folder / "begun").read_text().split() if (folder / "begun").exists() else []
            results.append((outcomes, outputs(folder)))
        assert states(outcomes) == expected_states(graph)
        assert tuple(one.task.key for one in outcomes) == graph.keys
        assert listener.collected_outcomes == outcomes
        finished = [key for name, key in listener.events if name not in ("started", "retried")]
        assert sorted(finished) == sorted(graph.keys)
        done = listener.keys("done")
        for one in outcomes:
            tries = begun.count(one.task.key)
            assert tries == {
                State.DONE: 1 + len(one.failures),
                State.FAILED: 1 if one.task.payload == "refuse" else 3,
                State.SKIPPED: 0 if one.because else 1,
            }.get(one.state, 0)
            if one.state is State.DONE:
                at = done.index(one.task.key)
                assert all(done.index(need) < at for need in one.task.needs)
    assert results[0] == results[1]


@settings(deadline=None, max_examples=30)
@given(graph=graphs(), seed=st.integers(0, 99))
def test_a_run_that_was_cut_goes_on(graph: TaskGraph, seed: int) -> None:
    """Every output is made once over both runs, and the end is that of one run."""

    class Stopping(Recorder):
        def started(self, task: Task, worker: str) -> None:
            super().started(task, worker)
            if len(self.events) > seed % 9:
                raise KeyboardInterrupt

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        executor = ShuffledExecutor(FolderBench(folder), 3, seed)
        first = Stopping()
        try:
            run(graph, folder, executor, first)
        except KeyboardInterrupt:
            assert not executor.is_open
        second = Recorder()
        outcomes = run(graph, folder, executor, second)
        known = [key for key, state in expected_states(graph).items() if state == "done"]
        assert sorted(outputs(folder)) == sorted(known)
        assert sorted(first.keys("done") + second.keys("done")) == sorted(known)
        assert {one.task.key for one in outcomes if one.has_output} == set(known)


@settings(deadline=None, max_examples=60)
@given(graph=graphs(damages=True), n=st.integers(1, 4), seed=st.integers(0, 99))
def test_damaged_outputs_are_made_again(graph: TaskGraph, n: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, listener = Path(name), Recorder()
        outcomes = run(graph, folder, ShuffledExecutor(FolderBench(folder), n, seed), listener)
        kept = sorted(outputs(folder))
    assert states(outcomes) == expected_states(graph)
    assert [one.task.key for one in listener.collected_outcomes] == list(graph.keys)
    assert kept == sorted(one.task.key for one in outcomes if one.has_output)


@settings(deadline=None, max_examples=30)
@given(graph=graphs(), seed=st.integers(0, 99))
def test_lost_workers_are_tries(graph: TaskGraph, seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, listener = Path(name), Recorder()
        outcomes = run(graph, folder, ShuffledExecutor(FolderBench(folder), 3, seed, losses=0.3), listener)
    assert len(outcomes) == len(graph)
    lost = [one for outcome in outcomes for one in outcome.failures if one.cause is Cause.LOST]
    assert len(listener.lost) == len(lost)
    assert all(len(one.failures) <= 3 for one in outcomes)


@settings(deadline=None, max_examples=30)
@given(graph=graphs(), n=st.integers(1, 4))
def test_a_simulation_has_the_order_of_a_run(graph: TaskGraph, n: int) -> None:
    """A run in which tasks end in the order of their simulated ends starts them in the simulated order."""
    plain = TaskGraph(task(one.key, *one.needs, place=one.place, weight=one.weight) for one in graph)
    executor = SimulatedExecutor(n)
    simulation = simulate(plain, executor.workers)
    listener = Recorder()
    Scheduler(plain, executor, lambda task: False, listener).run()
    assert listener.keys("started") == [span.task.key for span in simulation.spans]


class SimulatedExecutor(ShuffledExecutor):
    """An executor whose tasks take their weight in seconds, by a clock of its own."""

    def __init__(self, n: int) -> None:
        super().__init__(_Nothing(), n, 0)
        self._now = 0.0
        self._ends: dict[int, float] = {}

    def submit(self, worker: int, task: Task) -> None:
        super().submit(worker, task)
        self._ends[worker] = self._now + task.weight

    def next(self) -> int:
        worker = min(self.busy, key=lambda i: (self._ends[i], i))
        self._now = self._ends[worker]
        return worker


class _Nothing:
    def run(self, task: Task, progress: Progress) -> object:
        return None


def test_a_finished_run_does_nothing_again(tmp_path: Path) -> None:
    graph = TaskGraph([task("a"), task("b", "a"), task("c", "a", payload="fail")])
    assert states(run(graph, tmp_path)) == {"a": "done", "b": "done", "c": "failed"}
    listener = Recorder()
    assert states(run(graph, tmp_path, listener=listener)) == {"a": "stored", "b": "stored", "c": "failed"}
    assert set(listener.keys("started")) == {"c"}
    assert [one.task.key for one in listener.collected_outcomes] == ["a", "b", "c"]


def test_an_added_task_does_only_what_is_new(tmp_path: Path) -> None:
    graph = TaskGraph([task("a"), task("b", "a")])
    run(graph, tmp_path)
    (tmp_path / "a").unlink()
    assert states(run(graph.extended([task("c", "b")]), tmp_path)) == {
        "a": "not needed",
        "b": "stored",
        "c": "done",
    }


def test_a_failing_task_is_tried_three_times_and_the_rest_goes_on(tmp_path: Path) -> None:
    graph = TaskGraph([task("a", payload="fail"), task("b", "a"), task("c", payload="fail 2")])
    listener = Recorder()
    a, b, c = run(graph, tmp_path, listener=listener)
    assert str(a) == "task a: failed after 3 tries: RuntimeError: no luck with a"
    assert [one.cause for one in a.failures] == [Cause.ERROR] * 3
    assert 'raise RuntimeError(f"no luck with {task.key}")' in a.log
    assert (b.state, b.because, b.reason) == (State.NOT_RUN, "a", "'task a' failed")
    assert (c.state, len(c.failures)) == (State.DONE, 2)
    assert listener.keys("retried") == ["a", "a", "c", "c"]


def test_an_error_of_the_user_is_not_tried_again(tmp_path: Path) -> None:
    (outcome,) = run(TaskGraph([task("a", payload="refuse")]), tmp_path)
    assert str(outcome) == "task a: failed: a.json is empty.\nWrite it again."
    assert [one.cause for one in outcome.failures] == [Cause.INPUT]


def test_a_factory_that_fails_is_a_failure_of_each_task(tmp_path: Path) -> None:
    outcomes = run(TaskGraph([task("a"), task("b")]), tmp_path, InlineExecutor(broken_workbench))
    assert [str(one) for one in outcomes] == [
        f"task {key}: failed after 3 tries: OSError: no such model" for key in "ab"
    ]


def test_a_damaged_output_is_made_again(tmp_path: Path) -> None:
    graph = TaskGraph([task("a"), task("b", "a"), task("c", "b", payload="unreadable b")])
    run(graph.only(["b"]), tmp_path)
    listener = Recorder()
    outcomes = run(graph, tmp_path, listener=listener)
    assert states(outcomes) == {"a": "stored", "b": "done", "c": "done"}
    assert listener.keys("started") == ["c", "b", "c"]
    assert [one.error for one in listener.failures] == ["b is damaged"]
    assert [one.task.key for one in listener.collected_outcomes] == ["a", "b", "c"]


def test_a_task_that_never_fits_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    big = Resources(memory=80 * 2**30)
    graph = TaskGraph([task("a"), task("b", resources=big), task("c", resources=big)])
    executor = InlineExecutor(folder_workbench(tmp_path), Resources(memory=2**30))
    with pytest.raises(BadInputError, match=r"'task b' \(and 1 more task\) needs 80\.00 GiB of memory"):
        run(graph, tmp_path, executor)
    assert not (tmp_path / "begun").exists()
    for key in "bc":
        (tmp_path / key).write_text("stored")
    assert states(run(graph, tmp_path, executor))["a"] == "done"


def test_an_error_of_the_listener_ends_the_run(tmp_path: Path) -> None:
    class Full(Recorder):
        def collected(self, outcome: Outcome) -> None:
            raise OSError("no space left")

    executor = ShuffledExecutor(FolderBench(tmp_path), 2, 0)
    with pytest.raises(OSError, match="no space left"):
        run(TaskGraph([task("a"), task("b")]), tmp_path, executor, Full())
    assert not executor.is_open


class Calling(Recorder):
    """A listener that calls the scheduler when a task is finished."""

    def __init__(self, key: str, call: Callable[[Scheduler], None]) -> None:
        super().__init__()
        self.key, self.call = key, call
        self.scheduler: Scheduler | None = None

    def finished(self, outcome: Outcome) -> None:
        super().finished(outcome)
        if outcome.task.key == self.key and self.scheduler is not None:
            self.call(self.scheduler)


def run_calling(graph: TaskGraph, folder: Path, listener: Calling) -> list[Outcome]:
    scheduler = Scheduler(graph, InlineExecutor(folder_workbench(folder)), stored_in(folder), listener)
    listener.scheduler = scheduler
    return scheduler.run()


def test_cancelled_tasks_and_their_dependents_are_not_run(tmp_path: Path) -> None:
    graph = TaskGraph([task("a"), task("b"), task("c", "b"), task("d")])
    listener = Calling("a", lambda scheduler: scheduler.cancel(["b", "unknown"]))
    outcomes = run_calling(graph, tmp_path, listener)
    assert states(outcomes) == {"a": "done", "b": "cancelled", "c": "cancelled", "d": "done"}
    assert sorted(outputs(tmp_path)) == ["a", "d"]


class Interruptible(ShuffledExecutor):
    """An executor with one worker, which answers only when it is interrupted, and is lost then."""

    def __init__(self, bench: FolderBench) -> None:
        super().__init__(bench, 1, 0)
        self.reports: list[Report] = []

    def wait(self, seconds: float) -> Sequence[Report]:
        return [self.reports.pop(0)] if self.reports else []

    def interrupt(self, worker: int) -> bool:
        self.reports = [*super().wait(0), Lost(worker, "it was interrupted")]
        return True


@pytest.mark.parametrize(("payload", "state"), [(None, "done"), ("fail", "cancelled"), ("skip", "skipped")])
def test_a_task_that_ends_while_it_is_cancelled(payload: str | None, state: str, tmp_path: Path) -> None:
    class Cancelling(Recorder):
        def started(self, task: Task, worker: str) -> None:
            super().started(task, worker)
            scheduler.cancel([task.key])

    listener = Cancelling()
    graph = TaskGraph([task("a", payload=payload)])
    executor = Interruptible(FolderBench(tmp_path))
    scheduler = Scheduler(graph, executor, stored_in(tmp_path), listener)
    assert states(scheduler.run()) == {"a": state}
    assert listener.lost == []
    assert listener.keys("started") == ["a"]


def test_a_paused_run_starts_nothing_until_it_goes_on(tmp_path: Path) -> None:
    """The signal comes while the run is paused, and its handler calls the scheduler."""
    begun: list[list[str]] = []

    def pause(scheduler: Scheduler) -> None:
        def go_on(*_: object) -> None:
            begun.append((tmp_path / "begun").read_text().split())
            scheduler.resume()

        signal.signal(signal.SIGALRM, go_on)
        scheduler.pause()
        signal.setitimer(signal.ITIMER_REAL, 0.3)

    try:
        outcomes = run_calling(TaskGraph([task("a"), task("b")]), tmp_path, Calling("a", pause))
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert begun == [["a"]]
    assert states(outcomes) == {"a": "done", "b": "done"}


class Changing(ShuffledExecutor):
    """An executor some of whose workers are absent, others from call to call."""

    n_calls = 0

    @property
    def absent(self) -> Sequence[int]:
        self.n_calls += 1
        return [(self.n_calls + i) % 3 for i in range(2 if self.n_calls % 2 else 3)]

    def submit(self, worker: int, task: Task) -> None:
        assert worker not in [(self.n_calls + i) % 3 for i in range(2)]
        super().submit(worker, task)


@settings(deadline=None, max_examples=20)
@given(graph=graphs(), seed=st.integers(0, 99))
def test_an_absent_worker_gets_no_task(graph: TaskGraph, seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        outcomes = run(graph, folder, Changing(FolderBench(folder), 3, seed))
    assert states(outcomes) == expected_states(graph)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Handles SIGINT in the ordinary way, also if the tests run in the background, where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_an_interrupt_leaves_the_run_at_once(tmp_path: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        graph = TaskGraph([task("a"), task(f"b{number}", payload=f"die {int(number)}"), task("c")])
        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            run(graph, tmp_path)
        assert signal.getsignal(signal.SIGTERM) == before
    assert sorted(outputs(tmp_path)) == ["a"]


@pytest.fixture
def looking_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sequela.scheduling.graph_run.SECONDS_BETWEEN_LOOKS", 0.0)


@pytest.mark.usefixtures("looking_often")
@pytest.mark.parametrize(
    ("ending", "state", "begun"), [("made", State.STORED, 2), ("killed", State.DONE, 3)], ids=str
)
def test_what_another_process_does_is_put_off(tmp_path: Path, ending: str, state: State, begun: int) -> None:
    graph = TaskGraph([task("a", payload=f"busy 2 {ending}"), task("b"), task("c", "a")])
    recorder = Recorder()
    outcomes = run(graph, tmp_path, listener=recorder)
    assert [one.state for one in outcomes] == [state, State.DONE, State.DONE]
    assert outcomes[0].failures == ()
    assert recorder.keys("started").count("a") == begun
    assert recorder.keys("put off") == ["a", "a"]
    assert [one.task.key for one in recorder.collected_outcomes] == ["a", "b", "c"]
    assert outputs(tmp_path).keys() == {"a", "b", "c"}


def test_others_come_before_a_task_that_was_put_off(tmp_path: Path) -> None:
    recorder = Recorder()
    run(TaskGraph([task("a", payload="busy 1 killed"), task("b")]), tmp_path, listener=recorder)
    assert recorder.keys("started") == ["a", "b", "a"]


def test_what_another_process_has_done_meanwhile_counts_as_stored(tmp_path: Path) -> None:
    outcomes = run(TaskGraph([task("a", payload="stored"), task("b", "a")]), tmp_path)
    assert [one.state for one in outcomes] == [State.STORED, State.DONE]


@pytest.mark.usefixtures("looking_often")
def test_a_task_that_was_put_off_can_be_cancelled(tmp_path: Path) -> None:
    class Cancelling(Recorder):
        def put_off(self, task: Task, holder: str) -> None:
            super().put_off(task, holder)
            scheduler.cancel([task.key])

    graph = TaskGraph([task("a", payload="busy 99 made"), task("b", "a"), task("c")])
    scheduler = Scheduler(
        graph, InlineExecutor(folder_workbench(tmp_path)), stored_in(tmp_path), Cancelling()
    )
    assert states(scheduler.run()) == {"a": "cancelled", "b": "cancelled", "c": "done"}


def test_a_running_task_goes_on_if_only_those_that_wait_are_cancelled(tmp_path: Path) -> None:
    class Cancelling(Recorder):
        def started(self, task: Task, worker: str) -> None:
            super().started(task, worker)
            scheduler.cancel(["a", "b"], interrupt=False)

    executor = ShuffledExecutor(FolderBench(tmp_path), 1, seed=0)
    graph = TaskGraph([task("a"), task("b", "a"), task("c", "a")])
    scheduler = Scheduler(graph, executor, stored_in(tmp_path), Cancelling())
    assert states(scheduler.run()) == {"a": "done", "b": "cancelled", "c": "done"}
