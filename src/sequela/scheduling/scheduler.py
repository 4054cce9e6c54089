"""Runs the tasks of a graph on the workers of an executor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from sequela.scheduling.agenda import Agenda
from sequela.scheduling.events import Listener, SilentListener
from sequela.scheduling.executor import (
    Executor,
)
from sequela.scheduling.graph import TaskGraph
from sequela.scheduling.graph_run import Cancellation, GraphRun, check_resources
from sequela.scheduling.growth import Expand
from sequela.scheduling.outcome import Outcome
from sequela.scheduling.task import Task

TRIES = 3
"""The number of times that a task is tried."""


class Scheduler:
    """Runs the tasks of a graph: each one once, after those that it needs, in the order of the `Policy`.

    * What is stored is not done again, nor what only stored tasks need, unless it is a result by itself.
      Whoever resumes a run runs the same graph again.
    * A task that fails is tried again, on whatever worker is idle, unless the error is the user's. A worker
      that ends during a task counts as a failed try. A task that has failed does not stop the others; those
      that need it are not run.
    * A task that another process does is put off: others are done first, and once its output is in the store
      it counts as stored. If that process ends without it, the task is done here.
    * The outputs of tasks go to the store, the small results and the events to the listener, in this process.
    * `pause`, `resume` and `cancel` may be called at any time: by the listener, from another thread or from a
      signal handler.
    * A graph may grow: `expand` returns the tasks that follow from the result of another one, such as all
      work on a model from its fingerprint. They join right behind it in the order of the graph.

    Args:
        graph: The tasks.
        executor: The workers.
        is_stored: Returns whether the output of a task is in the store, complete; it is called for each
            task when that joins the graph, and again while another process does it. It says False for a task
            whose result `expand` needs.
        listener: Receives the events.
        tries: The number of times that a task is tried, at least one.
        expand: Returns the tasks that follow from one that is done or stored, a function of the task and its
            output. It is called in this process, once for each such task, before the listener hears that the
            task is finished. A stored task has no result. The tasks may need all that are known; those that
            are known are merged. If it raises a `SequelaError`, or a task requires more than any worker has,
            the task from which they follow has failed, and none of them joins.
    """

    def __init__(
        self,
        graph: TaskGraph,
        executor: Executor,
        is_stored: Callable[[Task], bool],
        listener: Listener | None = None,
        tries: int = TRIES,
        expand: Expand | None = None,
    ) -> None:
        self._graph = graph
        self._executor = executor
        self._is_stored = is_stored
        self._listener: Listener = listener or SilentListener()
        self._tries = tries
        self._expand = expand
        self._is_paused = False
        self._cancelled: deque[Cancellation] = deque()

    def run(self) -> list[Outcome]:
        """Runs all tasks that are to be done; returns the outcomes of all tasks, in the order of the graph.

        Raises:
            BadInputError: A task requires more than any worker has; nothing was run.
            SequelaError: What `expand` returned doesn't fit the graph: a need that no task makes, a circle,
                different tasks of one key. The workers were stopped.
            KeyboardInterrupt: SIGINT or SIGTERM came. The workers were interrupted and have ended; no task
                that was cut has an output. Running the graph again resumes.
        """
        agenda = Agenda(self._graph, self._is_stored)
        check_resources(agenda.todo, self._executor)
        run = GraphRun(
            self._graph, agenda, self._executor, self._listener, self._tries, self._expand, self._is_stored
        )
        return run.until_over(self._orders)

    def pause(self) -> None:
        """Starts no more tasks; those that run go on to their end."""
        self._is_paused = True

    def resume(self) -> None:
        """Starts tasks again after `pause`."""
        self._is_paused = False

    def cancel(self, keys: Iterable[str], interrupt: bool = True) -> None:
        """Ends tasks, and all that need them, as cancelled.

        A task that is running is interrupted if the executor can do so; otherwise it ends by itself and is
        done. Tasks that have ended stay what they are. Unknown keys are ignored.

        Args:
            keys: The keys of the tasks.
            interrupt: False if tasks that are running go on.
        """
        self._cancelled.append((frozenset(keys), interrupt))

    def _orders(self) -> tuple[bool, list[Cancellation]]:
        """Returns whether the run is paused, and the tasks to be cancelled since the last call."""
        cancelled = []
        while self._cancelled:
            cancelled.append(self._cancelled.popleft())
        return self._is_paused, cancelled
