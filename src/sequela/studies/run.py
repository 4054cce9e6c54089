"""Execution of a study: its tasks on the workers of an executor, and their outputs in the results of the run.

Outputs are stored immediately. A run that is interrupted, by Ctrl-C or a power cut, resumes where it stopped
and repeats no task. One process at a time collects the results in a folder; others may join it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from safetensors import SafetensorError

from sequela.core.arguments import check_path
from sequela.core.errors import CantWriteError, SequelaError
from sequela.core.interrupts import interrupts_deferred
from sequela.core.paths import cache_folder, ensure_writable
from sequela.core.precision import choose_precision
from sequela.core.progress import SILENT, Progress, watched
from sequela.core.temporary_files import remove_strays_within
from sequela.models.loading import choose_device
from sequela.results import Manifest, ResultsStore, Status, open_store, read_manifest, write_manifest
from sequela.results.manifest import MANIFEST_NAME
from sequela.scheduling import Outcome, State
from sequela.store import open_store as open_objects
from sequela.studies.damaged_results import set_damage_aside
from sequela.studies.failed_tasks import FailedTasksError, write_logs
from sequela.studies.joining import join_or_run
from sequela.studies.plan import make_plan
from sequela.studies.run_lock import check_not_running, only_process
from sequela.studies.run_log import RunLog
from sequela.studies.run_manifest import open_manifest
from sequela.studies.run_part import WHOLE, RunPart
from sequela.studies.run_requests import RunRequests
from sequela.studies.run_setup import RunSetup
from sequela.studies.run_tasks import run_tasks
from sequela.studies.study import Study
from sequela.studies.study_update import OtherRunError
from sequela.studies.workers import THIS_PROCESS, Workers

SPACE_NEEDED = 200 * 2**20
"""The free disk space, in bytes, that is required to start a run."""

_DISK_HINT = "Check the space on the disk. Results are kept; the same command resumes the run."


@dataclass(frozen=True)
class RunResult:
    """The outcome of a run.

    Args:
        folder: The folder with the results.
        status: The status, such as complete or stopped.
        done: The number of finished evaluations.
        planned: The number of planned evaluations.
        canceled: The cells that were canceled and are incomplete therefore; the status is `stopped` then.
        joined: True if this process has joined a run whose results another process collects.
    """

    folder: Path
    status: Status
    done: int
    planned: int
    canceled: tuple[str, ...] = ()
    joined: bool = False


def run_study(
    study: Study,
    folder: str | PathLike[str],
    progress: Progress = SILENT,
    command: str = "",
    workers: Workers = THIS_PROCESS,
    *,
    join: bool = False,
    update: bool = False,
    part: RunPart = WHOLE,
) -> RunResult:
    """Runs a study, or resumes an interrupted run.

    Args:
        study: The study.
        folder: The folder for the results; a run of the same study in it is resumed.
        progress: Receives messages and progress.
        command: The user's command, for the manifest.
        workers: The workers that do the tasks; by default this process.
        join: Whether to do tasks of the run if another process runs the study in the folder, instead of being
            refused. That process collects the results; if it ends before the run is complete, this one does.
        update: Whether a run of another version of the study in the folder goes on as one of this study:
            results that it doesn't have are removed, and only what is new or changed is measured.
        part: The part of the study to run; what others have done stays.

    Returns:
        The outcome. After Ctrl-C, the status is `stopped`, and all results so far are kept.

    Raises:
        FailedTasksError: Tasks failed whenever they were tried; all others are done.
        OtherRunError: The folder has the run of another study, or of another version of this one.
        HeldElsewhereError: Another process is running a study in the folder.
        SequelaError: The study can't be run; if possible, this is detected before anything slow starts.
    """
    folder, device = check_path("folder", folder), choose_device(study.device)
    part.check(study)
    if not join:
        check_not_running(folder)
    plan = make_plan(study)
    ensure_writable(folder, SPACE_NEEDED)
    ensure_writable(cache_folder(), SPACE_NEEDED)
    precision = choose_precision(study.dtype, device)
    if precision.reason:
        progress.say(f"weights in {precision}")
    setup = RunSetup(plan, folder, precision, progress, workers, command, update, part)
    if not join:
        with only_process(folder):
            return _run(setup)
    results: list[RunResult] = []
    ended = join_or_run(setup, lambda requests: results.append(_run(setup, requests)))
    if ended is None:
        return results[0]
    status = Status.STOPPED if ended.was_stopped else ended.manifest.status
    return RunResult(folder, status, ended.done, ended.manifest.evaluations_planned, joined=True)


def _run(setup: RunSetup, requests: RunRequests | None = None) -> RunResult:
    """Runs a study as the process that has the lock of the folder.

    Args:
        setup: What the run is started with.
        requests: The requests to a run that is taken over; None drops those of an earlier run.
    """
    plan, folder, progress = setup.plan, setup.folder, setup.progress
    remove_strays_within(folder)  # also from folders to which nothing more is written
    if requests is None:
        requests = RunRequests(folder)
        requests.clear()
    earlier = read_manifest(folder) if (folder / MANIFEST_NAME).is_file() else None
    manifest, changed = open_manifest(plan, folder, setup.command, setup.precision, earlier, setup.update)
    objects = open_objects()
    with open_store(folder, create=True, name=plan.study.name) as store:
        for note in store.notes:
            progress.say(note)
        damage = store.damage()
        if damage:
            # From now on the run isn't finished any more.
            write_manifest(folder, earlier.finish(Status.STOPPED) if changed and earlier else manifest)
            set_damage_aside(store, damage, folder, progress)
        if changed is not None and earlier is not None:
            write_manifest(folder, earlier.finish(Status.STOPPED, "its update was interrupted"))
            changed.apply(store, folder, progress)
            write_manifest(folder, manifest)  # last, so that an update that is interrupted is done again
            earlier = None
        kept = manifest.n_done(store.evaluations())
        finished = earlier is not None and not damage and earlier.incompleteness(kept) is None
        if finished and earlier is not None:
            progress.say(
                f"all {kept} evaluations are done already; checking that models and methods are the same"
            )
            manifest = earlier
        else:
            manifest = setup.part.recorded(manifest)
        log = RunLog(plan, folder, store, manifest, progress, setup.workers.count, setup.part)
        canceled: tuple[str, ...] = ()
        with _ending_recorded(log, earlier, finished):
            if not finished:
                write_manifest(folder, manifest)
                if kept:
                    progress.say(f"{kept} of {manifest.evaluations_planned} evaluations are done and kept")
            with watched(progress, log.workload):
                outcomes = run_tasks(setup, log, objects, requests, finished)
            failed = [one for one in outcomes if one.state is State.FAILED]
            if any(one.state is State.CANCELLED for one in outcomes):
                canceled = tuple(map(str, requests.canceled))
            logs = write_logs(folder, failed)
            if not finished:
                log.finish(*_ending(log, failed, canceled))
            if failed:
                raise FailedTasksError(failed, logs)
        return _result(log, store, canceled)


def _result(log: RunLog, store: ResultsStore, canceled: tuple[str, ...]) -> RunResult:
    manifest = log.manifest
    done = manifest.n_done(store.evaluations())
    return RunResult(log.folder, manifest.status, done, manifest.evaluations_planned, canceled)


def _ending(log: RunLog, failed: Sequence[Outcome], canceled: Sequence[str]) -> tuple[Status, str]:
    """Returns the status of a run whose tasks have all ended, and the reason."""
    if failed:
        return Status.FAILED, "; ".join(map(str, failed))
    if canceled:
        return Status.STOPPED, f"canceled: {', '.join(canceled)}"
    done = log.manifest.n_done(log.store.evaluations())
    is_part = not log.part.is_whole and done < log.manifest.evaluations_planned
    return (Status.PARTIAL if is_part else Status.COMPLETE), ""


@contextmanager
def _ending_recorded(log: RunLog, earlier: Manifest | None, finished: bool) -> Iterator[None]:
    """Writes how a run ended that an interrupt or an error ends; an interrupt is over then.

    Args:
        log: The records of the run.
        earlier: The manifest of the run before; None if there is none, or another study has become this one.
        finished: Whether all results were there already.
    """
    try:
        try:
            yield
        except (KeyboardInterrupt, FailedTasksError):
            raise
        except BaseException as error:
            # A full disk must not hide the original error.
            with suppress(OSError, CantWriteError), interrupts_deferred():
                if earlier is not None and (finished or isinstance(error, OtherRunError)):
                    log.update(earlier)  # the results in the folder are as they were
                else:
                    log.finish(Status.FAILED, str(error) or type(error).__name__)
            if isinstance(error, OSError | SafetensorError | CantWriteError):
                reason = error.message if isinstance(error, CantWriteError) else str(error)
                raise SequelaError(f"The run in {log.folder} failed: {reason}", hint=_DISK_HINT) from error
            raise
    except KeyboardInterrupt:
        if not finished:
            _finish_stopped(log)


def _finish_stopped(log: RunLog) -> None:
    """Writes that a run was stopped, although a key may be pressed again in the meantime."""
    try:
        with interrupts_deferred(dropped=True):
            log.finish(Status.STOPPED)
    except KeyboardInterrupt:  # it came before it could be deferred
        with interrupts_deferred(dropped=True):
            log.finish(Status.STOPPED)
