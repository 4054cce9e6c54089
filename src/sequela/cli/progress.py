"""Display of progress on the console: the running tasks and the remaining time.

Without a terminal, a background thread prints a line if none was printed for a while. Checks within loops
would not suffice, because a download, a factorization or a forward pass of a large model is one call that may
take minutes. Rich's progress bars have such a thread already.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as RichBars
from rich.text import Text

from sequela.cli.console import shown
from sequela.cli.running import Running, in_words, task_seconds_left
from sequela.core.progress import Progress
from sequela.core.workload import Clock, Workload

SECONDS_BETWEEN_LINES = 30.0
"""The interval, in seconds, at which progress is printed without a terminal."""

BEAT = 1.0
"""The interval, in seconds, at which the thread checks whether a line is due."""


@contextmanager
def shown_progress(console: Console) -> Iterator[Progress]:
    """Shows progress within a block, with Sequela's warnings: bars on a terminal, plain lines elsewhere."""
    if not console.is_terminal:
        lines = LineProgress(console, SECONDS_BETWEEN_LINES)
        with _beating(lines), _warnings_shown(lines):
            yield lines
        return
    bars = BarProgress(console)
    with bars.bars, _warnings_shown(bars):
        yield bars


class _ProgressHandler(logging.Handler):
    """Passes warnings to the progress display, so that they don't disrupt its bars."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        """Prints a warning."""
        self._progress.say(f"{record.levelname.lower()}: {record.getMessage()}")


@contextmanager
def _warnings_shown(progress: Progress) -> Iterator[None]:
    logger, handler = logging.getLogger("sequela"), _ProgressHandler(progress)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def _beating(lines: LineProgress) -> Iterator[None]:
    """Runs a thread within the block that prints lines when they are due."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            lines.beat()

    thread = threading.Thread(target=beat, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class BarProgress:
    """A bar for each running task, and one for the whole workload.

    Args:
        console: The console on which the bars are drawn.
        clock: Returns the current time, in seconds.
    """

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        self.bars = RichBars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            _Count(),
            TimeElapsedColumn(),
            _Left(),
            console=console,
            transient=True,
        )
        self._running = Running(clock)
        self._bars: dict[int, TaskID] = {}
        self._whole: TaskID | None = None

    def start(self, description: str, total: int | None) -> int:
        """Shows a bar for a task; the bar pulses if the total is unknown."""
        task = self._running.start(description, total)
        running = [self._running.tasks[task]]
        self._bars[task] = self.bars.add_task(
            shown(description),
            total=total,
            left=lambda: task_seconds_left(running, self._running.clock()),
        )
        self._show_whole()
        return task

    def advance(self, task: int, units: int = 1) -> None:
        """Advances the bar of a task."""
        self._running.tasks[task].done += units
        self.bars.advance(self._bars[task], units)

    def finish(self, task: int) -> None:
        """Removes the bar of a task."""
        with self._running.lock:
            self._running.tasks.pop(task, None)
        if task in self._bars:
            self.bars.remove_task(self._bars.pop(task))
        self._show_whole()

    def say(self, message: str) -> None:
        """Prints a line above the bars."""
        self.bars.console.print(shown(message), highlight=False)
        self._show_whole()

    def watch(self, workload: Workload | None) -> None:
        """Shows a bar for a whole workload, or removes it if there is none."""
        self._running.workload = workload
        if self._whole is not None:
            self.bars.remove_task(self._whole)
            self._whole = None
        if workload is not None:
            self._whole = self.bars.add_task("", total=None, left=self._running.seconds_left)
            self._show_whole()

    def _show_whole(self) -> None:
        """Updates the bar of the whole workload."""
        workload = self._running.workload
        if workload is not None and self._whole is not None:
            text = ": ".join(part for part in (workload.name, workload.label) if part)
            self.bars.update(
                self._whole, description=shown(text), completed=workload.n_done, total=workload.n_pieces
            )


class _Count(ProgressColumn):
    """The column with the number of finished units and the total."""

    def render(self, task: Task) -> Text:
        """Returns the text of the column."""
        return Text("" if task.total is None else f"{task.completed:.0f}/{task.total:.0f}")


class _Left(ProgressColumn):
    """The column with the remaining time."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """Returns the text of the column."""
        left: float | None = task.fields["left"]()
        return Text("" if left is None else f"{in_words(left)} left")


class LineProgress:
    """Plain lines for logs: messages, and at intervals the running tasks and their progress.

    Args:
        console: The console on which the lines are printed.
        seconds: The interval between lines about running tasks, in seconds.
        clock: Returns the current time, in seconds.
    """

    def __init__(self, console: Console, seconds: float, clock: Clock = time.monotonic) -> None:
        self._console = console
        self._seconds = seconds
        self._running = Running(clock)
        self._last_line = clock()

    def start(self, description: str, total: int | None) -> int:
        """Starts a task; it is printed only if it takes long."""
        return self._running.start(description, total)

    def advance(self, task: int, units: int = 1) -> None:
        """Counts finished units, and prints a line if one is due."""
        with self._running.lock:
            self._running.tasks[task].done += units
            self.beat()

    def finish(self, task: int) -> None:
        """Removes a task; if the last line showed it as unfinished, prints another line about its end."""
        running = self._running
        with running.lock:
            ended = running.tasks.pop(task, None)
            if ended is None or ended.shown in (None, ended.total) or running.tasks or running.label:
                return
            self._print(f"{ended.description}: ended after {in_words(running.clock() - ended.begun)}")

    def say(self, message: str) -> None:
        """Prints a line."""
        self._print(message)

    def watch(self, workload: Workload | None) -> None:
        """Shows the progress of this workload from now on, in addition to the running task."""
        with self._running.lock:
            self._running.workload = workload

    def beat(self) -> None:
        """Prints a line about the running tasks if one is due."""
        with self._running.lock:
            now = self._running.clock()
            if now - self._last_line >= self._seconds and (line := self._running.line()):
                self._last_line = now
                self._print(line)

    def _print(self, line: str) -> None:
        with self._running.lock:
            self._console.print(shown(line), highlight=False, soft_wrap=True)
