"""One run of a graph: which worker does what, what has failed how often, and what follows from it."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

from sequela.core.errors import BadInputError, SequelaError
from sequela.scheduling.agenda import Agenda
from sequela.scheduling.events import Listener
from sequela.scheduling.executor import (
    Busy,
    Executor,
    Lost,
    Reply,
    Report,
    Skipped,
    Stored,
    Succeeded,
    Unreadable,
)
from sequela.scheduling.graph import TaskGraph
from sequela.scheduling.growth import Expand, Growth
from sequela.scheduling.outcome import Cause, Failure, Outcome, State
from sequela.scheduling.policy import Policy
from sequela.scheduling.running import failure_of
from sequela.scheduling.task import Task

SECONDS_TO_ANSWER = 0.2
"""The time, in seconds, after which a run obeys `pause`, `resume` and `cancel` at the latest."""

SECONDS_BETWEEN_LOOKS = 0.5
"""The time, in seconds, after which a task that another process does is looked at again."""

Cancellation = tuple[frozenset[str], bool]
"""The keys of tasks to be cancelled, and whether those that are running are interrupted."""


class GraphRun:
    """One run of a `Scheduler`, which describes the arguments.

    Args:
        graph: The tasks at the beginning.
        agenda: What is to be done of them.
        executor: The workers.
        listener: Receives the events.
        tries: The number of times that a task is tried.
        expand: Returns the tasks that follow from one.
        is_stored: Returns whether the output of a task is in the store.
    """

    def __init__(
        self,
        graph: TaskGraph,
        agenda: Agenda,
        executor: Executor,
        listener: Listener,
        tries: int,
        expand: Expand | None,
        is_stored: Callable[[Task], bool],
    ) -> None:
        self._growth = Growth(graph)
        self._is_stored = is_stored
        self._put_off: dict[str, tuple[Task, float]] = {}
        self._expand = expand
        self._expanded: set[str] = set()
        self._agenda = agenda
        self._executor = executor
        self._listener = listener
        self._tries = tries
        self._policy = Policy(graph, agenda.todo, [worker.resources for worker in executor.workers])
        self._running: dict[int, Task] = {}
        self._stopping: set[int] = set()
        self._failures: dict[str, list[Failure]] = {}
        self._collected: set[str] = set()
        self._uncollected = deque(graph.keys)

    def until_over(self, orders: Callable[[], tuple[bool, list[Cancellation]]]) -> list[Outcome]:
        """Runs all tasks; returns the outcomes, in the order of the graph.

        Args:
            orders: Returns whether no tasks are to be started now, and which are to be cancelled.
        """
        with _interrupted_by_sigterm():
            try:
                self._executor.open(self._listener.progress)
                self._announce([one for one in map(self._agenda.outcomes.get, self._uncollected) if one])
                while not self._agenda.is_over:
                    is_paused, cancelled = orders()
                    for keys, interrupt in cancelled:
                        self._cancel(keys, interrupt)
                    self._look_again()
                    if not is_paused:
                        self._start_tasks()
                    if not self._agenda.is_over:
                        for report in self._executor.wait(SECONDS_TO_ANSWER):
                            self._handle(report)
            finally:
                self._executor.close()
        return [self._agenda.outcomes[key] for key in self._growth.graph.keys]

    def _start_tasks(self) -> None:
        for task in self._agenda.newly_ready():
            self._policy.add(task)
        while chosen := self._policy.choose(self._executor.absent):
            worker, task = chosen
            self._running[worker] = task
            self._listener.started(task, self._executor.workers[worker].name)
            self._executor.submit(worker, task)

    def _look_again(self) -> None:
        """Looks whether what other processes do is done; what isn't may be started again."""
        for task, until in list(self._put_off.values()):
            if task.key in self._agenda.outcomes:  # it was cancelled
                del self._put_off[task.key]
            elif time.monotonic() >= until:
                del self._put_off[task.key]
                if self._is_stored(task):
                    self._end_stored(task)
                else:
                    self._policy.add(task)

    def _end_stored(self, task: Task) -> None:
        failures = tuple(self._failures.get(task.key, ()))
        self._announce(self._agenda.end(Outcome(task, State.STORED, failures=failures)))

    def _cancel(self, keys: Collection[str], interrupt: bool) -> None:
        running = {task.key for task in self._running.values()}
        self._announce(self._agenda.cancel([key for key in keys if key not in running]))
        for worker, task in self._running.items() if interrupt else ():
            if task.key in keys and worker not in self._stopping and self._executor.interrupt(worker):
                self._stopping.add(worker)

    def _handle(self, report: Report) -> None:
        if isinstance(report, Lost):
            self._handle_loss(report)
        else:
            task = self._running.pop(report.worker)
            if report.worker not in self._stopping:
                self._policy.release(report.worker)
                self._handle_reply(task, report.reply)
            elif isinstance(report.reply, (Succeeded, Skipped, Stored)):
                self._handle_reply(task, report.reply)  # it was quicker than its cancellation
            else:
                self._end_cancelled(task)

    def _handle_loss(self, lost: Lost) -> None:
        task = self._running.pop(lost.worker, None)
        self._policy.forget(lost.worker)
        self._policy.release(lost.worker)
        if lost.worker in self._stopping:
            self._stopping.remove(lost.worker)
            if task is not None:
                self._end_cancelled(task)
            return
        name = self._executor.workers[lost.worker].name
        self._listener.worker_lost(name, lost.reason)
        if task is not None:
            error = f"{name} ended during the task: {lost.reason}."
            self._handle_reply(task, Failure(Cause.LOST, error, lost.log))

    def _end_cancelled(self, task: Task) -> None:
        self._announce(self._agenda.cancel([task.key]))

    def _handle_reply(self, task: Task, reply: Reply) -> None:
        failures = self._failures.setdefault(task.key, [])
        if isinstance(reply, Succeeded):
            outcome = Outcome(task, State.DONE, reply.result, failures=tuple(failures), seconds=reply.seconds)
            outcome, joined = self._grown(outcome)
            self._announce([*self._agenda.end(outcome), *joined])
        elif isinstance(reply, Skipped):
            outcome = Outcome(task, State.SKIPPED, reason=reply.reason, failures=tuple(failures))
            self._announce(self._agenda.end(outcome))
        elif isinstance(reply, Stored):
            self._end_stored(task)
        elif isinstance(reply, Busy):
            self._put_off[task.key] = task, time.monotonic() + SECONDS_BETWEEN_LOOKS
            self._listener.put_off(task, reply.holder)
        else:
            failure = reply if isinstance(reply, Failure) else Failure(Cause.ERROR, reply.problem)
            failures.append(failure)
            if len(failures) >= self._tries or failure.cause is Cause.INPUT:
                outcome = Outcome(task, State.FAILED, failures=tuple(failures))
                self._announce(self._agenda.end(outcome))
                return
            if isinstance(reply, Unreadable) and set(reply.keys).intersection(task.needs):
                self._agenda.reopen(task, reply.keys)
            else:
                self._policy.add(task)
            self._listener.retried(task, failure, self._tries - len(failures))

    def _announce(self, ended: Iterable[Outcome]) -> None:
        ahead = deque(ended)
        while ahead:
            outcome = ahead.popleft()
            if self._agenda.outcomes.get(outcome.task.key) is not outcome:
                continue  # it was not needed until another task has grown
            if outcome.state is State.STORED:
                known, (outcome, joined) = outcome, self._grown(outcome)
                ahead.extend(joined if outcome is known else self._agenda.revoke(outcome)[1:])
            self._policy.remove(outcome.task)
            self._listener.finished(outcome)
        while self._uncollected and self._uncollected[0] in self._agenda.outcomes:
            self._collected.add(self._uncollected[0])
            self._listener.collected(self._agenda.outcomes[self._uncollected.popleft()])

    def _grown(self, outcome: Outcome) -> tuple[Outcome, list[Outcome]]:
        """Adds the tasks that follow from one that is done or stored.

        Returns:
            The outcome of the task, which is another one if nothing can follow from it, and the outcomes of
            added tasks that have ended already.
        """
        task = outcome.task
        if self._expand is None or task.key in self._expanded:
            return outcome, []
        try:
            tasks = list(self._expand(outcome))
        except SequelaError as error:
            return self._without_growth(outcome, error), []
        if not tasks:
            self._expanded.add(task.key)
            return outcome, []
        growth = self._growth.grown(task, tasks)
        needed = self._agenda.needed(growth.graph, tasks)
        try:
            check_resources(needed, self._executor)
        except BadInputError as error:
            return self._without_growth(outcome, error), []
        self._expanded.add(task.key)
        self._growth = growth
        joined = self._agenda.join(growth.graph, needed)
        self._policy.grow(growth.graph, needed)
        self._uncollected = deque(key for key in growth.graph.keys if key not in self._collected)
        return outcome, joined

    @staticmethod
    def _without_growth(outcome: Outcome, error: SequelaError) -> Outcome:
        return Outcome(outcome.task, State.FAILED, failures=(*outcome.failures, failure_of(error)))


def check_resources(todo: Collection[Task], executor: Executor) -> None:
    """Raises an error if a task requires more than any worker has."""
    capacities = [worker.resources for worker in executor.workers]
    unfit = [task for task in todo if not any(map(task.resources.fit_in, capacities))]
    if unfit:
        task = max(unfit, key=lambda task: (task.resources.gpus, task.resources.memory))
        others = len(unfit) - 1
        more = f" (and {others:,} more task{'' if others == 1 else 's'})" if others else ""
        most = max(capacities, key=lambda one: (one.gpus, one.memory), default=None)
        has = "there is no worker" if most is None else f"no worker has more than {most}"
        raise BadInputError(
            f"{task.label!r}{more} needs {task.resources}, but {has}.",
            hint="Use fewer workers with more memory each, another machine, or a smaller model.",
        )


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Makes SIGTERM raise `KeyboardInterrupt` within a block, unless the program handles it by itself."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
