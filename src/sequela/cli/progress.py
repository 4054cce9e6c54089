"""Progress on the terminal: what is running, and how long is left."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class RichProgress:
    """Bars for the running tasks, on standard error; a line per message where there is no terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            # Work comes in pieces of very different length: an average over minutes tells more.
            TimeRemainingColumn(),
            console=console,
            transient=False,
            speed_estimate_period=300,
        )

    def __enter__(self) -> RichProgress:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def start(self, description: str, total: int) -> int:
        """Shows a bar."""
        return int(self._progress.add_task(escape(description), total=total))

    def advance(self, task: int, units: int = 1) -> None:
        """Moves a bar."""
        self._progress.advance(TaskID(task), units)

    def finish(self, task: int) -> None:
        """Takes a bar away."""
        if TaskID(task) in self._progress.task_ids:
            self._progress.remove_task(TaskID(task))

    def say(self, message: str) -> None:
        """Writes a line above the bars."""
        self._progress.console.print(escape(message), highlight=False)
