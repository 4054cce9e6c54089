"""A graph that grows: what a task leads to is known only when the task is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sequela.core.errors import SequelaError
from sequela.scheduling.graph import TaskGraph
from sequela.scheduling.outcome import Outcome
from sequela.scheduling.task import Task

Expand = Callable[[Outcome], Iterable[Task]]
"""Returns the tasks that follow from a task whose output is there; often none."""


@dataclass(frozen=True)
class Growth:
    """A graph, and the tasks that were added behind some of its tasks.

    The order is a function of what was added behind which task; it doesn't depend on when. So a graph that
    grows comes to the same order as one that is given at once.

    Args:
        given: The tasks of the beginning, in their order.
        added: The tasks that were added, by the key of the task behind which they are.
    """

    given: TaskGraph
    added: Mapping[str, tuple[Task, ...]] = field(default_factory=dict)

    def grown(self, task: Task, tasks: Iterable[Task]) -> Growth:
        """Returns the growth with tasks right behind a task; those that are known are merged.

        Raises:
            SequelaError: The tasks don't fit those that are known: see `TaskGraph`.
        """
        growth = Growth(self.given, {**self.added, task.key: tuple(tasks)})
        try:
            growth.graph  # noqa: B018 - the tasks are checked
        except SequelaError as error:
            raise SequelaError(f"What follows from {task.label!r} can't be added. {error}") from error
        return growth

    @cached_property
    def graph(self) -> TaskGraph:
        """The graph of all tasks."""
        return TaskGraph(self._in_order())

    def _in_order(self) -> Iterator[Task]:
        """Yields each task, right behind it what was added there, and so on (without recursion)."""
        ahead = [*self.given][::-1]
        grown: set[str] = set()
        while ahead:
            task = ahead.pop()
            yield task
            if task.key not in grown:
                grown.add(task.key)
                ahead.extend(reversed(self.added.get(task.key, ())))
