"""The times of the tasks of a run, and of what the main process and the store do for each of them.

The classes of the program are replaced by ones that measure, in the main process of the run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sequela.scheduling import Outcome, Scheduler, State
from sequela.store import open_store
from sequela.studies import Study, run, run_study
from sequela.studies.collector import Collector
from sequela.studies.workers import Workers


class TaskTime(BaseModel):
    """A task as it was done.

    Args:
        key: Its key.
        kind: Its kind.
        needs: The keys of the tasks that it needs.
        place: What it shares with others in a worker's memory.
        seconds: The time that a worker took for it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    kind: str
    needs: tuple[str, ...]
    place: tuple[str, ...]
    seconds: float


class RunTimes(BaseModel):
    """The times of a run.

    Args:
        wall: The time of the run in seconds, without the start of the program.
        collecting: The time in which the main process wrote results, in seconds.
        stored_bytes: The size of what the run stored.
        tasks: The tasks that were done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    wall: float
    collecting: float
    stored_bytes: int
    tasks: tuple[TaskTime, ...]


def timed_run(study: Study, folder: Path, workers: Workers) -> RunTimes:
    """Runs a study in an empty store and returns its times.

    Args:
        study: The study.
        folder: The folder of the run.
        workers: The workers.
    """
    outcomes: list[Outcome] = []
    with _recorded(outcomes) as collecting:
        begun = time.perf_counter()
        run_study(study, folder, workers=workers)
        wall = time.perf_counter() - begun
    tasks = [
        TaskTime(
            key=one.task.key,
            kind=one.task.kind,
            needs=one.task.needs,
            place=one.task.place,
            seconds=one.seconds,
        )
        for one in outcomes
        if one.state is State.DONE
    ]
    stored = sum(entry.size for entry in open_store().entries())
    return RunTimes(wall=wall, collecting=sum(collecting), stored_bytes=stored, tasks=tuple(tasks))


@contextmanager
def _recorded(outcomes: list[Outcome]) -> Iterator[list[float]]:
    """Adds the outcomes of runs in a block to a list; yields the times in which results were written."""
    seconds: list[float] = []
    collect = Collector.collect

    class Recorded(Scheduler):
        """A scheduler whose outcomes are kept."""

        def run(self) -> list[Outcome]:
            """Runs the tasks."""
            found = super().run()
            outcomes.extend(found)
            return found

    def timed(collector: Collector, outcome: Outcome) -> None:
        begun = time.perf_counter()
        collect(collector, outcome)
        seconds.append(time.perf_counter() - begun)

    run.Scheduler, Collector.collect = Recorded, timed  # type: ignore[misc,method-assign]
    try:
        yield seconds
    finally:
        run.Scheduler, Collector.collect = Scheduler, collect  # type: ignore[misc,method-assign]
