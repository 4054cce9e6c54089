"""What is running: tasks within tasks, within a workload perhaps, and the time they still take."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from sequela.core.workload import Clock, Workload


@dataclass(eq=False)
class RunningTask:
    """A task under way.

    Args:
        description: What it is.
        total: The units it has; None if that isn't known.
        begun: When it was begun.
        done: The units that are done.
        shown: The units that were done when it was last shown; None if it never was.
    """

    description: str
    total: int | None
    begun: float
    done: int = 0
    shown: int | None = None

    def described(self) -> str:
        """Its description and how far it is."""
        return self.description if self.total is None else f"{self.description}: {self.done} of {self.total}"


@dataclass(eq=False)
class Running:
    """The tasks under way, the outermost first. It is used by two threads.

    Args:
        clock: Tells the time.
        tasks: The tasks, by their numbers.
        workload: What all of them are parts of, if anything.
    """

    clock: Clock
    tasks: dict[int, RunningTask] = field(default_factory=dict)
    workload: Workload | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    _started: int = 0

    def start(self, description: str, total: int | None) -> int:
        """Begins a task; returns its number."""
        with self.lock:
            self._started += 1
            self.tasks[self._started] = RunningTask(description, total, self.clock())
            return self._started

    @property
    def label(self) -> str:
        """The piece of the workload that is under way, in words; empty if there is none."""
        return self.workload.label if self.workload is not None else ""

    def seconds_left(self) -> float | None:
        """The time until the workload, or else the outermost task, ends; None if nothing tells."""
        with self.lock:
            left = task_seconds_left(list(self.tasks.values()), self.clock())
            return left if self.workload is None else self.workload.seconds_left(left)

    def line(self) -> str:
        """What is running, from the whole to the part, and the time that is left; empty if nothing is.

        The tasks count as shown from now on.
        """
        with self.lock:
            parts = [self.label] if self.label else []
            for task in self.tasks.values():
                task.shown = task.done
                parts.append(task.described())
            if not parts:
                return ""
            left = self.seconds_left()
            until = [] if left is None else [f"about {in_words(left)} left"]
            if self.workload is None:
                return ", ".join([*parts, *until])
            if not self.tasks:
                parts.append(f"for {in_words(self.workload.seconds_under_way)} now")
            whole = [f"{self.workload.n_done} of {self.workload.n_pieces} of the whole", *until]
            return f"{', '.join(parts)}; {', '.join(whole)}"


def task_seconds_left(tasks: Sequence[RunningTask], now: float) -> float | None:
    """The time until the first task ends, by what is done of it; a later task is a part of one unit of it."""
    fraction = 0.0
    for task in reversed(tasks):
        if task.total:
            fraction = min(1.0, (task.done + fraction) / task.total)
    return (now - tasks[0].begun) * (1 - fraction) / fraction if fraction else None


def in_words(seconds: float) -> str:
    """A time as a person says it: `40 s`, `7 min`, `2.5 h`."""
    if seconds < 120:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
