"""The tasks of a run and what they need of one another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from sequela.core.errors import SequelaError, listed
from sequela.scheduling.task import Task


class TaskGraph:
    """Tasks in an order in which each comes after those that it needs.

    That is the order in which they were given, except that the needs of a task that come later are moved
    right before it. Equal tasks are one, at the position of the first. A graph never changes.

    Args:
        tasks: The tasks in the user's order.

    Raises:
        SequelaError: Two different tasks have one key, a task needs one that isn't there, or tasks need one
            another in a circle.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        given: dict[str, Task] = {}
        for task in tasks:
            known = given.setdefault(task.key, task)
            if known != task:
                raise SequelaError(f"Two different tasks have the key {task.key}: {_named(known, task)}.")
        _check_needs(given)
        self._tasks = {key: given[key] for key in _needs_first(given)}
        self._dependents: dict[str, list[str]] = {key: [] for key in self._tasks}
        for task in self:
            for need in dict.fromkeys(task.needs):
                self._dependents[need].append(task.key)

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks.values())

    def __contains__(self, key: object) -> bool:
        return key in self._tasks

    def __getitem__(self, key: str) -> Task:
        return self._tasks[key]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all tasks, in order."""
        return tuple(self._tasks)

    def dependents(self, key: str) -> tuple[str, ...]:
        """Returns the keys of the tasks that read the output of a task, in order."""
        return tuple(self._dependents[key])

    def with_dependents(self, keys: Iterable[str]) -> frozenset[str]:
        """Returns the keys of tasks and of all tasks that need them, directly or through others."""
        return _reached(keys, self._dependents)

    def with_needs(self, keys: Iterable[str]) -> frozenset[str]:
        """Returns the keys of tasks and of all tasks that they need, directly or through others."""
        return _reached(keys, {task.key: task.needs for task in self})

    def only(self, keys: Iterable[str]) -> TaskGraph:
        """Returns the graph of some tasks and all that they need."""
        kept = self.with_needs(keys)
        return TaskGraph(task for task in self if task.key in kept)

    def without(self, keys: Iterable[str]) -> TaskGraph:
        """Returns the graph without some tasks and all that need them."""
        dropped = self.with_dependents(keys)
        return TaskGraph(task for task in self if task.key not in dropped)

    def extended(self, tasks: Iterable[Task]) -> TaskGraph:
        """Returns the graph with further tasks, which may need those that are there."""
        return TaskGraph([*self, *tasks])

    def chain_weights(self, among: Collection[str] | None = None) -> dict[str, float]:
        """Returns the weight of the heaviest chain that begins with each task, its own weight included.

        Args:
            among: The keys of the tasks that count; by default all.
        """
        counted = self._tasks if among is None else among
        weights: dict[str, float] = {}
        for task in reversed(self._tasks.values()):
            if task.key in counted:
                later = (weights[key] for key in self._dependents[task.key] if key in counted)
                weights[task.key] = task.weight + max(later, default=0.0)
        return weights


def _check_needs(tasks: Mapping[str, Task]) -> None:
    for task in tasks.values():
        unknown = [need for need in task.needs if need not in tasks]
        if unknown:
            raise SequelaError(f"The task {task.label!r} needs what no task makes: {listed(unknown)}.")


def _needs_first(tasks: Mapping[str, Task]) -> Iterator[str]:
    """Yields all keys, each after those that its task needs (without recursion: chains may be long)."""
    done: set[str] = set()
    for start in tasks:
        path = {start: iter(tasks[start].needs)} if start not in done else {}
        while path:
            key = next(reversed(path))
            need = next((need for need in path[key] if need not in done), None)
            if need is None:
                path.popitem()
                done.add(key)
                yield key
            elif need in path:
                circle = [*path][[*path].index(need) :]
                names = " needs ".join(repr(tasks[one].label) for one in [*circle, need])
                raise SequelaError(f"Tasks need one another in a circle: {names}.")
            else:
                path[need] = iter(tasks[need].needs)


def _reached(keys: Iterable[str], edges: Mapping[str, Iterable[str]]) -> frozenset[str]:
    found: set[str] = set()
    ahead = list(keys)
    while ahead:
        key = ahead.pop()
        if key not in found:
            found.add(key)
            ahead.extend(edges[key])
    return frozenset(found)


def _named(*tasks: Task) -> str:
    first, second = (repr(task.label) for task in tasks)
    if first != second:
        return f"{first} and {second}"
    names = ("kind", "needs", "place", "resources", "payload")
    differ = [name for name in names if getattr(tasks[0], name) != getattr(tasks[1], name)]
    return f"{first}, which differ in {listed(differ)}"
