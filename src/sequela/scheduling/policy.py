"""The order of tasks: which ready task an idle worker does next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from sequela.scheduling.graph import TaskGraph
from sequela.scheduling.task import Place, Resources, Task


class Policy:
    """Chooses the next task and its worker; a pure rule, without a clock, shared by runs and simulations.

    The order is the user's: that of the graph. Two things come before it. A worker goes on with what it has
    in memory: tasks whose place shares most with the place of its last task come first, and those whose place
    another worker holds come last. And with several workers, long chains start early: a task is urgent when
    the heaviest chain of tasks that begins with it weighs at least an equal share, per worker, of all that
    has not been started; urgent tasks come before all others, those with the heaviest chain first among
    equals of place. No worker waits while a task that it can do is ready. If several workers could do a task,
    it goes to the one that holds most of its place, then to the one that loses least, then to the one with
    the least resources.

    Args:
        graph: The tasks.
        todo: The tasks of the graph that are to be done.
        workers: The resources of each worker.
    """

    def __init__(self, graph: TaskGraph, todo: Sequence[Task], workers: Sequence[Resources]) -> None:
        self._workers = workers
        self._left: dict[str, float] = {}
        self._weight_left = 0.0
        self._idle = set(range(len(workers)))
        self._places: list[Place] = [()] * len(workers)
        self._held: Counter[Place] = Counter()
        self._groups: dict[tuple[Place, Resources], _Group] = {}
        self._counted: set[str] = set()
        self.grow(graph, todo)

    def grow(self, graph: TaskGraph, todo: Sequence[Task]) -> None:
        """Replaces the graph by one that has grown.

        Args:
            graph: The graph.
            todo: The tasks that are to be done besides those of the beginning.
        """
        self._positions = {key: i for i, key in enumerate(graph.keys)}
        self._counted.update(task.key for task in todo)
        self._chains = graph.chain_weights(self._counted)
        for task in todo:
            self._left[task.key] = task.weight
            self._weight_left += task.weight
        ready = [task for group in self._groups.values() for task in group.ready.values()]
        self._groups.clear()
        for task in ready:
            self._add_to_group(task)

    def add(self, task: Task) -> None:
        """Adds a task that is ready, or ready again."""
        if task.key not in self._left:
            self._left[task.key] = task.weight
            self._weight_left += task.weight
        self._add_to_group(task)

    def _add_to_group(self, task: Task) -> None:
        group = self._groups.setdefault((task.place, task.resources), _Group())
        group.add(task, self._positions[task.key], self._chain(task))

    def remove(self, task: Task) -> None:
        """Removes a task that will not be done, whether or not it is ready."""
        self._weight_left -= self._left.pop(task.key, 0.0)
        group = self._groups.get((task.place, task.resources))
        if group is not None:
            group.ready.pop(task.key, None)

    def release(self, worker: int) -> None:
        """Makes a worker idle: its task has ended. It holds the task's place."""
        self._idle.add(worker)

    def forget(self, worker: int) -> None:
        """Notes that a worker was replaced by a new one, which holds nothing."""
        self._hold(worker, ())

    def choose(self, absent: Collection[int] = ()) -> tuple[int, Task] | None:
        """Returns an idle worker and the ready task that it does next, as begun; None if none fits.

        Args:
            absent: The numbers of idle workers that are not there.
        """
        share = self._weight_left / len(self._workers) if len(self._workers) > 1 else float("inf")
        pairs = self._pairs(share, absent)
        best = min(pairs, key=lambda pair: pair[0], default=None)
        if best is None:
            return None
        _, worker, task = best
        self.remove(task)
        self._idle.remove(worker)
        self._hold(worker, task.place)
        return worker, task

    def _pairs(self, share: float, absent: Collection[int]) -> Iterator[tuple[tuple[float, ...], int, Task]]:
        """Yields pairs of idle workers and tasks with their ranks; of equal ones only the first."""
        alike: dict[tuple[Place, Resources], int] = {}
        for number in sorted(self._idle.difference(absent)):
            alike.setdefault((self._places[number], self._workers[number]), number)
        for (place, resources), group in list(self._groups.items()):
            task = group.first(share)
            if task is None:
                del self._groups[place, resources]
                continue
            chain = self._chain(task)
            urgent = chain >= share
            held_anywhere = max((n for n in range(len(place) + 1) if self._held[place[:n]]), default=0)
            for (held, capacity), number in alike.items():
                if resources.fit_in(capacity):
                    shared = _shared_length(held, place)
                    rank = (
                        not urgent,
                        -shared,
                        held_anywhere > shared,
                        -chain if urgent else 0.0,
                        self._positions[task.key],
                        len(held) - shared,
                        capacity.gpus,
                        capacity.memory,
                        number,
                    )
                    yield rank, number, task

    def _chain(self, task: Task) -> float:
        return self._chains.get(task.key, task.weight)

    def _hold(self, worker: int, place: Place) -> None:
        before = self._places[worker]
        self._held.subtract(before[: n + 1] for n in range(len(before)))
        self._held.update(place[: n + 1] for n in range(len(place)))
        self._places[worker] = place


@dataclass
class _Group:
    """Ready tasks of one place and the same resources, of which only the first one can be the next."""

    ready: dict[str, Task] = field(default_factory=dict)
    _by_position: list[tuple[int, str]] = field(default_factory=list)
    _by_chain: list[tuple[float, int, str]] = field(default_factory=list)

    def add(self, task: Task, position: int, chain: float) -> None:
        self.ready[task.key] = task
        heappush(self._by_position, (position, task.key))
        heappush(self._by_chain, (-chain, position, task.key))

    def first(self, share: float) -> Task | None:
        """Returns the task with the heaviest chain if that is urgent, otherwise the first; None if empty."""
        while self._by_chain and self._by_chain[0][-1] not in self.ready:
            heappop(self._by_chain)
        while self._by_position and self._by_position[0][-1] not in self.ready:
            heappop(self._by_position)
        if not self._by_chain:
            return None
        urgent = -self._by_chain[0][0] >= share
        return self.ready[self._by_chain[0][-1] if urgent else self._by_position[0][-1]]


def _shared_length(first: Place, second: Place) -> int:
    """Returns how many parts two places share, from the general end."""
    length = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        length += 1
    return length
