"""The state of every task of a run: ended, ready, or waiting for others."""

from __future__ import annotations

from collections.abc import Callable, Collection

from sequela.scheduling.graph import TaskGraph
from sequela.scheduling.outcome import Outcome, State
from sequela.scheduling.task import Task

_CONSEQUENCES = {
    State.SKIPPED: State.SKIPPED,
    State.FAILED: State.NOT_RUN,
    State.NOT_RUN: State.NOT_RUN,
    State.CANCELLED: State.CANCELLED,
}
"""The state of a task that can't be done, by the state of the one that it needs."""


class Agenda:
    """The bookkeeping of a run, without a clock, workers or errors.

    A task is to be done unless its output is stored or nothing needs it: nothing needs a task if its output
    isn't a result by itself, others read it, and all of those are stored or not needed themselves. A task
    that can't be done because of its needs ends when all of them have ended, because of the first one in the
    order of its `needs`, so that its outcome doesn't depend on the order in which they ended.

    When a graph grows, the tasks that join are asked for like those of the beginning: results and those that
    no other one of them reads in any case, the others if one that reads them is to be done. What is to be
    done stays so. Hence what is done doesn't depend on which tasks joined first.

    Args:
        graph: The tasks.
        is_stored: Returns whether the output of a task is in the store; called once for each task.
    """

    def __init__(self, graph: TaskGraph, is_stored: Callable[[Task], bool]) -> None:
        self._graph = graph
        self._is_stored = is_stored
        self._stored: dict[str, bool] = {}
        self.outcomes: dict[str, Outcome] = {}
        self._awaited: dict[str, set[str]] = {}
        self._ready: list[Task] = []
        self.todo: tuple[Task, ...] = self.needed(graph, [*graph])
        self.join(graph, self.todo)

    def needed(self, graph: TaskGraph, joining: Collection[Task]) -> tuple[Task, ...]:
        """Returns the tasks that are to be done because tasks join, besides those that are so already.

        Args:
            graph: The graph with the tasks that join.
            joining: Those tasks; some may have been known.
        """
        read = {need for task in joining for need in task.needs}
        asked_for = {task.key for task in joining if task.is_result or task.key not in read}
        needed: set[str] = set()
        for task in reversed([*graph]):
            is_asked_for = task.key in asked_for or needed.intersection(graph.dependents(task.key))
            if task.key not in self._awaited and not self._has_stored(task) and is_asked_for:
                needed.add(task.key)
        return tuple(task for task in graph if task.key in needed)

    def join(self, graph: TaskGraph, needed: Collection[Task]) -> list[Outcome]:
        """Replaces the graph by one that has grown.

        Args:
            graph: The graph.
            needed: What `needed` returned.

        Returns:
            The outcomes of the tasks that join and end at once: what is stored, not needed, or can't be done.
        """
        self._graph = graph
        todo = {task.key for task in needed}
        ended: list[Outcome] = []
        for task in graph:
            if task.key in todo:
                self.outcomes.pop(task.key, None)  # it was not needed until now
                self._awaited[task.key] = {need for need in task.needs if need not in self.outcomes}
                found = [] if self._awaited[task.key] else self._decided(task)
            elif task.key not in self._awaited and task.key not in self.outcomes:
                found = [Outcome(task, State.STORED if self._has_stored(task) else State.NOT_NEEDED)]
            else:
                found = []
            self.outcomes.update((outcome.task.key, outcome) for outcome in found)
            ended += found
        return ended

    def _has_stored(self, task: Task) -> bool:
        if task.key not in self._stored:
            self._stored[task.key] = self._is_stored(task)
        return self._stored[task.key]

    @property
    def is_over(self) -> bool:
        """True if all tasks have ended."""
        return len(self.outcomes) == len(self._graph)

    def newly_ready(self) -> list[Task]:
        """Returns the tasks that have become ready since the last call, each once."""
        ready = [task for task in self._ready if task.key not in self.outcomes]
        self._ready = []
        return ready

    def end(self, outcome: Outcome) -> list[Outcome]:
        """Records what came of a task; returns it and the outcomes of those that can't be done therefore."""
        ended: list[Outcome] = [outcome]
        for current in ended:
            self.outcomes[current.task.key] = current
            for key in self._graph.dependents(current.task.key):
                awaited = self._awaited.get(key, set())
                if key not in self.outcomes and current.task.key in awaited:
                    awaited.remove(current.task.key)
                    if not awaited:
                        ended.extend(self._decided(self._graph[key]))
        return ended

    def revoke(self, outcome: Outcome) -> list[Outcome]:
        """Like `end`, for a task that counted as stored, and before any that needs it was started."""
        for key in self._graph.dependents(outcome.task.key):
            if key not in self.outcomes:
                self._awaited[key].add(outcome.task.key)
        return self.end(outcome)

    def reopen(self, task: Task, keys: Collection[str]) -> list[Task]:
        """Makes tasks to be done again, because a task found their outputs missing or damaged.

        Their own needs that were not needed until now are to be done too. The task waits for them, and so do
        others that need them, except those that are ready or running.

        Args:
            task: The task, which has not ended.
            keys: The keys of what it needs and can't read.

        Returns:
            The tasks that are to be done again and were not already; empty if the task doesn't need them.
        """
        lost = set(task.needs).intersection(keys)
        reopened: list[Task] = []
        ahead = sorted(lost)
        while ahead:
            key = ahead.pop()
            if self.outcomes.pop(key, None) is not None:
                reopened.append(self._graph[key])
                needs = self._graph[key].needs
                ahead.extend(need for need in needs if not self._is_there(need))
        for one in reversed(reopened):
            self._awaited[one.key] = {need for need in one.needs if need not in self.outcomes}
            if not self._awaited[one.key]:
                self._ready.append(one)
            for key in self._graph.dependents(one.key):
                if key not in self.outcomes and self._awaited.get(key):
                    self._awaited[key].add(one.key)
        self._awaited[task.key] = lost
        return reopened

    def _is_there(self, key: str) -> bool:
        return key not in self.outcomes or self.outcomes[key].has_output

    def cancel(self, keys: Collection[str]) -> list[Outcome]:
        """Ends the given tasks as cancelled, except those that have ended; returns the outcomes."""
        ended: list[Outcome] = []
        for task in self._graph:
            if task.key in keys and task.key not in self.outcomes:
                ended.extend(self.end(Outcome(task, State.CANCELLED, reason="on request")))
        return ended

    def _decided(self, task: Task) -> list[Outcome]:
        """Marks a task as ready if all that it needs is there; otherwise returns its outcome."""
        for need in task.needs:
            found = self.outcomes[need]
            if not found.has_output:
                return [_consequence(task, found)]
        self._ready.append(task)
        return []


def _consequence(task: Task, found: Outcome) -> Outcome:
    because = found.because or found.task.key
    if found.because is not None or found.state is State.SKIPPED:
        reason = found.reason
    else:
        reason = f"{found.task.label!r} {'failed' if found.state is State.FAILED else 'was cancelled'}"
    return Outcome(task, _CONSEQUENCES[found.state], reason=reason, because=because)
