"""The course of a run on any number of workers, simulated by the order that runs follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from sequela.scheduling.agenda import Agenda
from sequela.scheduling.executor import Worker
from sequela.scheduling.graph import TaskGraph
from sequela.scheduling.outcome import Outcome, State
from sequela.scheduling.policy import Policy
from sequela.scheduling.task import Place, Task


@dataclass(frozen=True)
class Span:
    """The time of a task on a worker, in seconds since the begin of the run.

    Args:
        task: The task.
        worker: The number of the worker.
        start: When the worker begins, loading included.
        end: When the task ends.
        waited_for: The key of the task whose end let it start: one that it needs, or the one that its worker
            did before; None if it starts with the run.
        because: Whether it waited for a task that it needs, or for a worker; None if it starts with the run.
    """

    task: Task
    worker: int
    start: float
    end: float
    waited_for: str | None = None
    because: str | None = None


@dataclass(frozen=True)
class Simulation:
    """A simulated run.

    Args:
        n_workers: The number of workers.
        spans: The times of all tasks, in the order in which they start.
    """

    n_workers: int
    spans: tuple[Span, ...]

    @property
    def makespan(self) -> float:
        """The time from the begin to the end of the run, in seconds."""
        return max((span.end for span in self.spans), default=0.0)

    @property
    def busy(self) -> float:
        """The share of the workers' time in which they do tasks or load, from 0 to 1."""
        work = sum(span.end - span.start for span in self.spans)
        return work / (self.n_workers * self.makespan) if self.makespan else 0.0

    @property
    def blocking(self) -> tuple[Span, ...]:
        """The tasks that decide the makespan, in order: each one waited for the one before it."""
        by_key = {span.task.key: span for span in self.spans}
        last = max(self.spans, key=lambda span: span.end, default=None)
        path: list[Span] = []
        while last is not None:
            path.append(last)
            last = by_key.get(last.waited_for or "")
        return tuple(reversed(path))

    @property
    def blocking_seconds(self) -> Mapping[str, float]:
        """The seconds of the makespan by the kind of task, of the tasks that decide it, longest first."""
        seconds: dict[str, float] = {}
        for span in self.blocking:
            seconds[span.task.kind] = seconds.get(span.task.kind, 0.0) + span.end - span.start
        return dict(sorted(seconds.items(), key=lambda item: -item[1]))

    @property
    def bottleneck(self) -> str:
        """The reason in words why the run isn't shorter."""
        if not self.spans:
            return "there is nothing to do"
        waits = [span.because for span in self.blocking[1:]]
        kind, seconds = next(iter(self.blocking_seconds.items()))
        share = f"{kind} tasks take {seconds / self.makespan:.0%} of it" if self.makespan else ""
        if "worker" in waits and self.busy >= _BUSY:
            return f"the number of workers: they are busy {self.busy:.0%} of the time"
        length = len(self.blocking)
        return f"a chain of {length} tasks, each waiting for the one before; {share}"


_BUSY = 0.8
"""The share of time from which on more workers would help most."""


def simulate(
    graph: TaskGraph,
    workers: Sequence[Worker],
    is_stored: Callable[[Task], bool] = lambda task: False,
    loading: Callable[[Place, Place], float] = lambda held, place: 0.0,
) -> Simulation:
    """Simulates a run in which every task succeeds.

    Args:
        graph: The tasks; their weights are seconds.
        workers: The workers, such as `numbered_workers(64)`.
        is_stored: Returns whether the output of a task is there already.
        loading: Returns the seconds that a worker which holds one place needs to load another before a task.

    Raises:
        ValueError: A task fits no worker.
    """
    agenda = Agenda(graph, is_stored)
    policy = Policy(graph, agenda.todo, [worker.resources for worker in workers])
    held: list[Place] = [()] * len(workers)
    freed_by: list[str | None] = [None] * len(workers)
    ended_at: dict[str, float] = {}
    ends: list[tuple[float, int]] = []
    running: dict[int, Task] = {}
    spans: list[Span] = []
    now = 0.0
    while not agenda.is_over:
        for task in agenda.newly_ready():
            policy.add(task)
        while chosen := policy.choose():
            worker, task = chosen
            end = now + loading(held[worker], task.place) + task.weight
            cause = _cause(task, freed_by[worker], ended_at)
            spans.append(Span(task, worker, now, end, *cause))
            held[worker], running[worker] = task.place, task
            heappush(ends, (end, worker))
        if not ends:
            raise ValueError("there is a task that fits no worker")
        now, worker = heappop(ends)
        done = running.pop(worker)
        freed_by[worker], ended_at[done.key] = done.key, now
        policy.release(worker)
        agenda.end(Outcome(done, State.DONE))
    return Simulation(len(workers), tuple(spans))


def _cause(
    task: Task, before: str | None, ended_at: Mapping[str, float]
) -> tuple[str, str] | tuple[None, None]:
    """Returns the task that ended last before another could start, and whether it is a need."""
    needs = [need for need in task.needs if need in ended_at]
    last_need = max(needs, key=ended_at.__getitem__, default=None)
    if last_need is not None and (before is None or ended_at[last_need] >= ended_at[before]):
        return last_need, "need"
    return (before, "worker") if before is not None else (None, None)
