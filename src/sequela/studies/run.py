"""Execution of a study: its tasks on the workers of an executor, and their outputs in the results of the run.

Outputs are stored immediately. A run that is interrupted, by Ctrl-C or a power cut, resumes where it stopped
and repeats no task. One process at a time runs a study in a folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from types import MappingProxyType

from safetensors import SafetensorError

from sequela.core.arguments import check_path
from sequela.core.errors import BadInputError, CantWriteError, IntegrityError, SequelaError
from sequela.core.interrupts import interrupts_deferred
from sequela.core.paths import cache_folder, ensure_writable
from sequela.core.precision import Precision, choose_precision
from sequela.core.progress import SILENT, Progress, watched
from sequela.core.temporary_files import remove_strays_within
from sequela.models.loading import choose_device
from sequela.results import (
    Damage,
    DamageKind,
    ResultsStore,
    Status,
    open_store,
    read_manifest,
    write_manifest,
)
from sequela.results.manifest import MANIFEST_NAME
from sequela.scheduling import (
    Outcome,
    Scheduler,
    State,
    Task,
    TaskGraph,
)
from sequela.store import Address, DamagedObjectError, ForbiddenStoreError, Store, run_id_of
from sequela.store import open_store as open_objects
from sequela.studies.checkpoints import set_checkpoints_aside
from sequela.studies.collector import Collector
from sequela.studies.failed_tasks import FailedTasksError, write_logs
from sequela.studies.outputs import Outputs
from sequela.studies.pieces import loading
from sequela.studies.plan import Plan, make_plan
from sequela.studies.run_listener import RunListener
from sequela.studies.run_lock import check_not_running, only_process
from sequela.studies.run_log import RunLog
from sequela.studies.run_manifest import OtherRunError, open_manifest
from sequela.studies.study import Study
from sequela.studies.tasks import OfModel, TaskKind
from sequela.studies.workbench import StudyWorkbench
from sequela.studies.workers import THIS_PROCESS, Workers

UNSTORED = frozenset({TaskKind.LOAD.value, TaskKind.PREPARE.value, TaskKind.PLAN_METHOD.value})
"""The kinds of tasks without an output in the store, which every run does."""

SPACE_NEEDED = 200 * 2**20
"""The free disk space, in bytes, that is required to start a run."""


@dataclass(frozen=True)
class RunResult:
    """The outcome of a run.

    Args:
        folder: The folder with the results.
        status: The status, such as complete or stopped.
        done: The number of finished evaluations.
        planned: The number of planned evaluations.
    """

    folder: Path
    status: Status
    done: int
    planned: int


def run_study(
    study: Study,
    folder: str | PathLike[str],
    progress: Progress = SILENT,
    command: str = "",
    workers: Workers = THIS_PROCESS,
) -> RunResult:
    """Runs a study, or resumes an interrupted run.

    Args:
        study: The study.
        folder: The folder for the results; a run of the same study in it is resumed.
        progress: Receives messages and progress.
        command: The user's command, for the manifest.
        workers: The workers that do the tasks; by default this process.

    Returns:
        The outcome. After Ctrl-C, the status is `stopped`, and all results so far are kept.

    Raises:
        FailedTasksError: Tasks failed whenever they were tried; all others are done.
        HeldElsewhereError: Another process is running a study in the folder.
        SequelaError: The study can't be run; if possible, this is detected before anything slow starts.
    """
    folder, device = check_path("folder", folder), choose_device(study.device)
    check_not_running(folder)
    plan = make_plan(study)
    ensure_writable(folder, SPACE_NEEDED)
    ensure_writable(cache_folder(), SPACE_NEEDED)
    precision = choose_precision(study.dtype, device)
    if precision.reason:
        progress.say(f"weights in {precision}")
    with only_process(folder):
        remove_strays_within(folder)  # also from folders to which nothing more is written
        return _run_plan(plan, folder, command, precision, progress, workers)


def _run_plan(
    plan: Plan, folder: Path, command: str, precision: Precision, progress: Progress, workers: Workers
) -> RunResult:
    earlier = read_manifest(folder) if (folder / MANIFEST_NAME).is_file() else None
    objects = open_objects()
    with open_store(folder, create=True, name=plan.study.name) as store:
        for note in store.notes:
            progress.say(note)
        manifest = open_manifest(plan, folder, command, precision, earlier)
        damage = store.damage()
        if damage:
            write_manifest(folder, manifest)  # from now on the run isn't finished any more
            _set_aside(store, damage, folder, progress)
        kept = manifest.n_done(store.evaluations())
        finished = earlier is not None and not damage and earlier.incompleteness(kept) is None
        if finished and earlier is not None:
            progress.say(
                f"all {kept} evaluations are done already; checking that models and methods are the same"
            )
            log = RunLog(plan, folder, store, earlier, progress, workers.count)
        else:
            log = RunLog(plan, folder, store, manifest, progress, workers.count)
        try:
            if not finished:
                write_manifest(folder, manifest)
                if kept:
                    progress.say(f"{kept} of {manifest.evaluations_planned} evaluations are done and kept")
            with watched(progress, log.workload):
                failed = _run_tasks(log, objects, precision, workers, finished)
            logs = write_logs(folder, failed)
            if not finished:
                log.finish(Status.FAILED if failed else Status.COMPLETE, "; ".join(map(str, failed)))
            if failed:
                raise FailedTasksError(failed, logs)
        except KeyboardInterrupt:
            with interrupts_deferred(dropped=True):  # of a key that is pressed again while the run stops
                if not finished:
                    log.finish(Status.STOPPED)
        except FailedTasksError:
            raise
        except BaseException as error:
            # A full disk must not hide the original error.
            with suppress(OSError, CantWriteError), interrupts_deferred():
                if isinstance(error, OtherRunError) and earlier is not None:
                    log.update(earlier)  # the results in the folder are as they were
                else:
                    log.finish(Status.FAILED, str(error) or type(error).__name__)
            if isinstance(error, OSError | SafetensorError | CantWriteError):
                reason = error.message if isinstance(error, CantWriteError) else str(error)
                raise SequelaError(
                    f"The run in {folder} failed: {reason}",
                    hint="Check the space on the disk. Results are kept; the same command resumes the run.",
                ) from error
            raise
        planned = log.manifest.evaluations_planned
        done = log.manifest.n_done(store.evaluations())
        return RunResult(folder, log.manifest.status, done, planned)


def _run_tasks(
    log: RunLog, objects: Store, precision: Precision, workers: Workers, finished: bool
) -> list[Outcome]:
    """Runs the tasks of a study; returns those that failed.

    Args:
        log: The records of the run.
        objects: The store of the outputs.
        precision: The data type of the weights.
        workers: The workers.
        finished: Whether all results are there, so that only models and methods are checked.
    """
    plan = log.plan
    collector = Collector(log, Outputs(objects), finished)
    listener = RunListener(log, collector, several=log.n_workers > 1)

    def expand(outcome: Outcome) -> Sequence[Task]:
        tasks = collector.expand(outcome)
        if not finished:  # before they are made, so that nobody removes them as unused
            stored = [Address.parse(task.key) for task in tasks if task.kind not in UNSTORED]
            _register(objects, log, stored)
        return tasks

    def is_stored(task: Task) -> bool:
        if task.kind in UNSTORED or finished:
            return task.kind not in UNSTORED
        address = Address.parse(task.key)
        try:
            if objects.has(address):
                objects.fetch(address)  # which verifies it
                return True
        except DamagedObjectError as error:
            log.progress.say(f"{task.label} is done again: {error}")
        return False

    graph = TaskGraph(_load_task(name) for name in plan.study.models)
    executor = workers.make(
        lambda: StudyWorkbench(plan, objects, precision),
        partial(StudyWorkbench.of_study, plan.study, objects, precision),
    )
    outcomes = Scheduler(graph, executor, is_stored, listener, expand=expand).run()
    return [one for one in outcomes if one.state is State.FAILED]


def _register(objects: Store, log: RunLog, stored: Sequence[Address]) -> None:
    """Registers the objects that a run uses; a store that can't be written to needs to have them all.

    Raises:
        StoreError: The store can't be written to, and lacks an object.
        BadInputError: The registration is damaged; somebody has to remove it.
    """
    try:
        objects.register(run_id_of(log.folder), log.folder, stored)
    except IntegrityError as error:
        raise BadInputError(error.message, hint=error.hint) from error
    except ForbiddenStoreError as error:
        if not all(map(objects.has, stored)):
            raise
        log.progress.say(
            f"{error.message} All that was asked for is there, but not registered as used by this run."
        )


def _load_task(model: str) -> Task:
    return Task(
        f"load {model}",
        TaskKind.LOAD.value,
        f"loading {model}",
        place=(model,),
        weight=loading(model).weight,
        payload=OfModel(model),
    )


def _set_aside(store: ResultsStore, damage: Sequence[Damage], folder: Path, progress: Progress) -> None:
    """Takes damaged results out of the store, so that they are measured again; edits are applied again."""
    for one in damage:
        progress.say(f"{one.sentence}; it is set aside in {folder / 'damaged'}{_REMEDY[one.kind]}")
        if one.kind is DamageKind.EDIT:
            # Without checkpoints a trajectory begins anew. They are moved first, in case the run stops here.
            set_checkpoints_aside(folder, one.trajectory)
    store.set_aside(damage)


_REMEDY = MappingProxyType(
    {
        DamageKind.EVALUATION: " and measured again",
        DamageKind.EDIT: " and the edits of the trajectory are applied again",
        DamageKind.COST: "; a time can't be measured again",
    }
)
"""The consequence of damage, by its kind."""
