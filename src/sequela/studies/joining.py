"""Joining a run: a process that does tasks of a run whose results another process collects.

Both run the same graph and share its tasks by claims in the store. Whoever holds the folder's lock collects;
when that process ends before the run is complete, one of those that have joined takes its place.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sequela.core.errors import SequelaError
from sequela.core.holders import in_words
from sequela.core.locks import FileLock
from sequela.core.progress import watched
from sequela.core.workload import Workload
from sequela.results import Manifest, Status, open_store, read_manifest
from sequela.results.manifest import MANIFEST_NAME
from sequela.scheduling import Outcome, Scheduler, State, Task, TaskGraph
from sequela.store import Address, run_id_of
from sequela.store import open_store as open_objects
from sequela.studies.cell_tasks import CellTasks
from sequela.studies.joined import joining
from sequela.studies.model_tasks import LoadedModel, PlannedMethod
from sequela.studies.pieces import pieces_of
from sequela.studies.run_listener import RunListener
from sequela.studies.run_lock import acquired, lock_of
from sequela.studies.run_manifest import open_manifest, with_inputs, with_model
from sequela.studies.run_requests import Requested, RunRequests
from sequela.studies.run_setup import RunSetup
from sequela.studies.run_watch import RunWatch
from sequela.studies.study_update import OtherRunError
from sequela.studies.task_sources import first_tasks, stored_in, workers_of
from sequela.studies.tasks import UNSTORED

SECONDS_BETWEEN_TRIES = 0.5
"""The interval, in seconds, at which a process that has joined looks whether the folder's lock is free."""


@dataclass(frozen=True)
class Joined:
    """The end of a process that has joined a run and never had to collect its results.

    Args:
        manifest: The manifest of the run.
        done: The number of finished evaluations.
        was_stopped: True if the process was stopped; the run goes on without it.
    """

    manifest: Manifest
    done: int
    was_stopped: bool


def join_or_run(setup: RunSetup, run: Callable[[RunRequests | None], None]) -> Joined | None:
    """Joins the run in a folder if another process holds it, and runs the study otherwise.

    Args:
        setup: What the run is started with.
        run: Runs the study as the process that collects. It is given the requests that it takes over.

    Returns:
        How the run ended, if another process completed it; None if `run` was called.

    Raises:
        OtherRunError: The other process runs another study in the folder.
        SequelaError: What `run` raises, or a task whose input can't be used.
    """
    folder, progress = setup.folder, setup.progress
    lock = lock_of(folder)
    try:
        if acquired(lock):
            progress.say(f"nobody runs this study in {folder}, so there is nothing to join: it is run here")
            run(None)
            return None
        helper = _Helper(setup, lock)
        try:
            with joining(folder):
                helper.help_until_over()
            ended = _ended(folder)
            if ended.manifest.incompleteness(ended.done) is None:
                progress.say("the run is complete; the other process has collected all results")
                return ended
        except KeyboardInterrupt:
            if not (folder / MANIFEST_NAME).is_file():
                raise
            return _ended(folder, was_stopped=True)
        if ended.manifest.status is Status.PARTIAL:
            progress.say("the other process has ended its part of the study; this one collects its own")
        else:
            progress.say("the run has lost its main process, whose place this one takes")
        run(helper.requests)
        return None
    finally:
        lock.release()


class _Helper:
    """Does tasks of a run until the folder's lock is free, and takes it then."""

    refusal: SequelaError | None = None

    def __init__(self, setup: RunSetup, lock: FileLock) -> None:
        self._setup = setup
        self._folder = setup.folder
        self.progress = setup.progress
        self._lock = lock
        self.requests = RunRequests(setup.folder)
        self._objects = open_objects()
        self._cells = CellTasks()
        name, pieces = f"study {setup.plan.study.name}", pieces_of(setup.plan, setup.part)
        self.workload = Workload(name, pieces, n_workers=setup.workers.count)

    def help_until_over(self) -> None:
        """Does tasks as long as there are some, then waits; returns with the lock."""
        if not self._is_same_study():
            return
        self.progress.say(
            f"{in_words(self._lock.holder())} is running this study in {self._folder}; "
            "this one has joined, and does tasks for it"
        )
        with watched(self.progress, self.workload):
            failed = [one for one in self._outcomes() if one.state is State.FAILED]
        for one in failed:
            self.progress.say(str(one))
        if not self._lock.is_own:
            self.progress.say("nothing is left to do here; waiting until the main process has ended")
        self._wait_for_lock()

    def collect(self, outcome: Outcome) -> None:
        """Ignores outputs: the main process collects them."""

    def _is_same_study(self) -> bool:
        """Waits for the manifest of the main process; returns False with the lock if that ends before.

        Until the main process writes one, there may be that of an earlier version of the study.
        """
        while True:
            if (self._folder / MANIFEST_NAME).is_file():
                try:
                    self._check_study(read_manifest(self._folder))
                except OtherRunError:
                    if not self._is_older_than_lock(self._folder / MANIFEST_NAME):
                        raise
                else:
                    return True
            if acquired(self._lock):
                return False
            time.sleep(SECONDS_BETWEEN_TRIES)

    def _is_older_than_lock(self, path: Path) -> bool:
        try:
            return path.stat().st_mtime_ns < self._lock.path.stat().st_mtime_ns
        except FileNotFoundError:  # the main process has just ended
            return True

    def _check_study(self, manifest: Manifest) -> None:
        open_manifest(self._setup.plan, self._folder, "", self._setup.precision, manifest)

    def _outcomes(self) -> Sequence[Outcome]:
        is_stored = stored_in(self._objects, self.progress)
        listener = RunListener(self, self, several=self._setup.workers.count > 1)
        sign = f"{run_id_of(self._folder)}-{os.getpid()}"
        with workers_of(self._setup, self._objects, sign) as executor:
            scheduler = Scheduler(self._first, executor, is_stored, listener, expand=self._expand)
            self._watch = RunWatch(
                scheduler,
                self.requests,
                self._cells,
                self.progress,
                lambda requested: self._take_over(scheduler, requested),
            )
            with self._watch.looking():
                return scheduler.run()

    @property
    def _first(self) -> TaskGraph:
        return first_tasks(self._setup.plan, self._setup.part)

    def _expand(self, outcome: Outcome) -> Sequence[Task]:
        result, manifest = outcome.result, read_manifest(self._folder)
        if isinstance(result, LoadedModel):
            with_model(manifest, result, self._folder)  # which checks that it is the same
        elif isinstance(result, PlannedMethod):
            with_inputs(manifest, result, self._folder)
        else:
            return ()
        study, part = self._setup.plan.study, self._setup.part
        tasks = tuple(task for task in result.tasks if part.has(study, task))
        stored = [Address.parse(task.key) for task in tasks if task.kind not in UNSTORED]
        self._objects.register(run_id_of(self._folder), self._folder, stored)
        self._cells.add(result)
        self._watch.cancel()
        return tasks

    def _take_over(self, scheduler: Scheduler, requested: Requested) -> None:
        """Ends the tasks here once this process can be the main one, which does them as such."""
        if self._lock.is_own or acquired(self._lock):
            everything = [*self._first.keys, *self._cells.keys]
            scheduler.cancel(everything, interrupt=False)

    def _wait_for_lock(self) -> None:
        while not self._lock.is_own and not acquired(self._lock):
            self.requests.read()
            time.sleep(SECONDS_BETWEEN_TRIES)


def _ended(folder: Path, was_stopped: bool = False) -> Joined:
    manifest = read_manifest(folder)
    with open_store(folder) as store:
        return Joined(manifest, manifest.n_done(store.evaluations()), was_stopped)
