"""Progress on the terminal: what is running, and how long is left."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichBars

from sequela.core.progress import Progress

SECONDS_BETWEEN_LINES = 30.0
"""How often a long task gives a sign of life where there is no terminal."""


@contextmanager
def shown_progress(console: Console) -> Iterator[Progress]:
    """Progress for a block: bars on a terminal, plain lines elsewhere, with Sequela's warnings among them."""
    if not console.is_terminal:
        lines = LineProgress(console)
        with _warnings_told(lines):
            yield lines
        return
    bars = BarProgress(console)
    with bars.bars, _warnings_told(bars):
        yield bars


class _Teller(logging.Handler):
    """Hands warnings to the progress, so that they don't run into its bars."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        """Tells a warning."""
        self._progress.say(f"{record.levelname.lower()}: {record.getMessage()}")


@contextmanager
def _warnings_told(progress: Progress) -> Iterator[None]:
    logger, teller = logging.getLogger("sequela"), _Teller(progress)
    logger.addHandler(teller)
    try:
        yield
    finally:
        logger.removeHandler(teller)


class BarProgress:
    """A bar for each running task."""

    def __init__(self, console: Console) -> None:
        self.bars = RichBars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            # Work comes in pieces of very different length: an average over minutes tells more.
            speed_estimate_period=300,
        )

    def start(self, description: str, total: int) -> int:
        """Shows a bar."""
        return int(self.bars.add_task(escape(description), total=total))

    def advance(self, task: int, units: int = 1) -> None:
        """Moves a bar."""
        self.bars.advance(TaskID(task), units)

    def finish(self, task: int) -> None:
        """Takes a bar away."""
        if TaskID(task) in self.bars.task_ids:
            self.bars.remove_task(TaskID(task))

    def say(self, message: str) -> None:
        """Writes a line above the bars."""
        self.bars.console.print(escape(message), highlight=False)


class LineProgress:
    """Plain lines, for logs: what is said, and now and then how far the running task is.

    Args:
        console: Where the lines go.
        seconds: Least time between two lines about tasks.
    """

    def __init__(self, console: Console, seconds: float = SECONDS_BETWEEN_LINES) -> None:
        self._console = console
        self._seconds = seconds
        self._tasks: dict[int, _Running] = {}
        self._last_line = time.monotonic()
        self._started = 0

    def start(self, description: str, total: int) -> int:
        """Remembers a task; it is told of only if it lasts."""
        self._started += 1
        self._tasks[self._started] = _Running(description, total)
        return self._started

    def advance(self, task: int, units: int = 1) -> None:
        """Counts finished units; writes a line if none was written for a while."""
        running = self._tasks[task]
        running.done += units
        now = time.monotonic()
        if now - self._last_line >= self._seconds:
            self._last_line = now
            self._print(running.told(now))

    def finish(self, task: int) -> None:
        """Forgets a task."""
        self._tasks.pop(task, None)

    def say(self, message: str) -> None:
        """Writes a line."""
        self._print(message)

    def _print(self, line: str) -> None:
        self._console.print(escape(line), highlight=False, soft_wrap=True)


class _Running:
    """A task under way."""

    def __init__(self, description: str, total: int) -> None:
        self.description, self.total, self.done = description, total, 0
        self.started = time.monotonic()

    def told(self, now: float) -> str:
        text = f"{self.description}: {self.done} of {self.total}"
        if not 0 < self.done < self.total:
            return text
        left = (now - self.started) / self.done * (self.total - self.done)
        return f"{text}, about {_duration(left)} left"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "a minute"
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
