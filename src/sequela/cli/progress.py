"""Progress on the terminal: what is running, and how long is left.

Where there is no terminal, a thread of its own looks at the clock and writes a line when none was written for
a while. Checks in loops would not do: a download, a factorization or a pass through a large model is one call
that may last for minutes, and only another thread speaks meanwhile. Rich's bars have such a thread already.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
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

from sequela.cli.running import Running, in_words, task_seconds_left
from sequela.core.progress import Progress
from sequela.core.workload import Clock, Workload

SECONDS_BETWEEN_LINES = 30.0
"""How often long work gives a sign of life where there is no terminal."""

BEAT = 1.0
"""How often, in seconds, the clock is looked at."""


@contextmanager
def shown_progress(console: Console) -> Iterator[Progress]:
    """Progress for a block: bars on a terminal, plain lines elsewhere, with Sequela's warnings among them."""
    if not console.is_terminal:
        lines = LineProgress(console)
        with _beating(lines), _warnings_shown(lines):
            yield lines
        return
    bars = BarProgress(console)
    with bars.bars, _warnings_shown(bars):
        yield bars


class _ProgressHandler(logging.Handler):
    """Hands warnings to the progress, so that they don't run into its bars."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        """Tells a warning."""
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
    """Within the block, a thread has lines written when they are due."""
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
    """A bar for each running task, and one for the whole of a workload.

    Args:
        console: Where the bars are drawn.
        clock: Tells the time.
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
        """Shows a bar; one that only moves to and fro where no total is known."""
        task = self._running.start(description, total)
        running = [self._running.tasks[task]]
        self._bars[task] = self.bars.add_task(
            escape(description),
            total=total,
            left=lambda: task_seconds_left(running, self._running.clock()),
        )
        self._show_whole()
        return task

    def advance(self, task: int, units: int = 1) -> None:
        """Moves a bar."""
        self._running.tasks[task].done += units
        self.bars.advance(self._bars[task], units)

    def finish(self, task: int) -> None:
        """Takes a bar away."""
        with self._running.lock:
            self._running.tasks.pop(task, None)
        if task in self._bars:
            self.bars.remove_task(self._bars.pop(task))
        self._show_whole()

    def say(self, message: str) -> None:
        """Writes a line above the bars."""
        self.bars.console.print(escape(message), highlight=False)
        self._show_whole()

    def watch(self, workload: Workload | None) -> None:
        """Shows a bar for the whole, or takes it away."""
        self._running.workload = workload
        if self._whole is not None:
            self.bars.remove_task(self._whole)
            self._whole = None
        if workload is not None:
            self._whole = self.bars.add_task("", total=None, left=self._running.seconds_left)
            self._show_whole()

    def _show_whole(self) -> None:
        """Brings the bar of the whole up to what is under way."""
        workload = self._running.workload
        if workload is not None and self._whole is not None:
            text = ": ".join(part for part in (workload.name, workload.label) if part)
            self.bars.update(
                self._whole, description=escape(text), completed=workload.n_done, total=workload.n_pieces
            )


class _Count(ProgressColumn):
    """The units that are done and that there are."""

    def render(self, task: Task) -> Text:
        """The column's text."""
        return Text("" if task.total is None else f"{task.completed:.0f}/{task.total:.0f}")


class _Left(ProgressColumn):
    """The time that is left."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """The column's text."""
        left: float | None = task.fields["left"]()
        return Text("" if left is None else f"{in_words(left)} left")


class LineProgress:
    """Plain lines, for logs: what is said, and now and then what is running and how far it is.

    Args:
        console: Where the lines go.
        seconds: The time between two lines about what is running.
        clock: Tells the time.
    """

    def __init__(
        self, console: Console, seconds: float = SECONDS_BETWEEN_LINES, clock: Clock = time.monotonic
    ) -> None:
        self._console = console
        self._seconds = seconds
        self._running = Running(clock)
        self._last_line = clock()

    def start(self, description: str, total: int | None) -> int:
        """Remembers a task; it is told of only if it lasts."""
        return self._running.start(description, total)

    def advance(self, task: int, units: int = 1) -> None:
        """Counts finished units; writes a line if none was written for a while."""
        with self._running.lock:
            self._running.tasks[task].done += units
            self.beat()

    def finish(self, task: int) -> None:
        """Forgets a task; where the last line would be left to speak of it, another says that it ended."""
        running = self._running
        with running.lock:
            ended = running.tasks.pop(task, None)
            if ended is None or ended.shown in (None, ended.total) or running.tasks or running.label:
                return
            self._print(f"{ended.description}: ended after {in_words(running.clock() - ended.begun)}")

    def say(self, message: str) -> None:
        """Writes a line."""
        self._print(message)

    def watch(self, workload: Workload | None) -> None:
        """Tells from now on how far this workload is, beside the task that is running."""
        with self._running.lock:
            self._running.workload = workload

    def beat(self) -> None:
        """Writes a line about what is running, if none was written for a while."""
        with self._running.lock:
            now = self._running.clock()
            if now - self._last_line >= self._seconds and (line := self._running.line()):
                self._last_line = now
                self._print(line)

    def _print(self, line: str) -> None:
        with self._running.lock:
            self._console.print(escape(line), highlight=False, soft_wrap=True)
