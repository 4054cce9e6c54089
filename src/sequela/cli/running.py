"""The running tasks: nested tasks, the workload around them, and the remaining time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from sequela.core.workload import Clock, Workload


@dataclass(eq=False)
class RunningTask:
    """A task in progress.

    Args:
        description: The description.
        total: The number of units; None if unknown.
        begun: The start time.
        done: The number of finished units.
        shown: The number of finished units when the task was last shown; None if it never was.
    """

    description: str
    total: int | None
    begun: float
    done: int = 0
    shown: int | None = None

    def described(self) -> str:
        """Returns the description with the number of finished units."""
        return self.description if self.total is None else f"{self.description}: {self.done} of {self.total}"


@dataclass(eq=False)
class Running:
    """The tasks in progress, the outermost first. Instances are shared by two threads.

    Args:
        clock: Returns the current time, in seconds.
        tasks: The tasks, by number.
        workload: The workload that the tasks belong to, if any.
        lock: The lock for all access.
    """

    clock: Clock
    tasks: dict[int, RunningTask] = field(default_factory=dict)
    workload: Workload | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    _started: int = 0

    def start(self, description: str, total: int | None) -> int:
        """Starts a task and returns its number."""
        with self.lock:
            self._started += 1
            self.tasks[self._started] = RunningTask(description, total, self.clock())
            return self._started

    @property
    def label(self) -> str:
        """The label of the workload's current piece; empty if there is none."""
        return self.workload.label if self.workload is not None else ""

    def seconds_left(self) -> float | None:
        """Returns the estimated time until the end of the workload or the outermost task; None if unknown."""
        with self.lock:
            left = task_seconds_left(list(self.tasks.values()), self.clock())
            return left if self.workload is None else self.workload.seconds_left(left)

    def line(self) -> str:
        """Returns a line on the running tasks and the remaining time, and marks the tasks as shown.

        The line starts with the outermost task. It is empty if nothing is running.
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
                parts.append(f"running for {in_words(self.workload.seconds_under_way)}")
            total = [f"{self.workload.n_done} of {self.workload.n_pieces} steps in total", *until]
            return f"{', '.join(parts)}; {', '.join(total)}"


def task_seconds_left(tasks: Sequence[RunningTask], now: float) -> float | None:
    """Returns the estimated time until the first task ends; each later task is one unit of the task before.

    Args:
        tasks: The running tasks, the outermost first.
        now: The current time.
    """
    fraction = 0.0
    for task in reversed(tasks):
        if task.total:
            fraction = min(1.0, (task.done + fraction) / task.total)
    return (now - tasks[0].begun) * (1 - fraction) / fraction if fraction else None


def in_words(seconds: float) -> str:
    """Formats a duration with rounding: `40 s`, `7 min`, `2.5 h`."""
    if seconds < 120:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
