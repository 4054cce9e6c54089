"""Execution of a study: every trajectory up to its last checkpoint, and every suite at every checkpoint.

Finished work is stored immediately. A run that is interrupted, by Ctrl-C or a power cut, resumes from its
last checkpoint and repeats no measurement. One process at a time runs a study in a folder.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import MappingProxyType

from safetensors import SafetensorError

from sequela.core.arguments import check_path
from sequela.core.errors import CantWriteError, SequelaError
from sequela.core.interrupts import interrupts_deferred
from sequela.core.paths import cache_folder, ensure_writable
from sequela.core.precision import Precision, choose_precision
from sequela.core.progress import SILENT, Progress, watched
from sequela.edited.chat_template import chat_templates
from sequela.editors.session import EditSession
from sequela.evaluation.monitors import HealthMonitor
from sequela.inference import open_engine
from sequela.models import LanguageModel, load_model
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
from sequela.studies.checkpoint_measuring import CheckpointMeasuring
from sequela.studies.checkpoints import set_checkpoints_aside
from sequela.studies.finished_run import check_unchanged, is_finished
from sequela.studies.monitor_log import MonitorLog
from sequela.studies.pieces import loading, preparing
from sequela.studies.plan import Plan, make_plan
from sequela.studies.run_lock import check_not_running, only_process
from sequela.studies.run_log import RunLog
from sequela.studies.run_manifest import (
    OtherRunError,
    open_manifest,
    with_findings,
    with_inputs,
    with_model,
    with_trajectories,
)
from sequela.studies.study import Study
from sequela.studies.trajectory import Trajectory
from sequela.studies.trajectory_run import run_trajectory

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
    study: Study, folder: str | PathLike[str], progress: Progress = SILENT, command: str = ""
) -> RunResult:
    """Runs a study, or resumes an interrupted run.

    Args:
        study: The study.
        folder: The folder for the results; a run of the same study in it is resumed.
        progress: Receives messages and progress.
        command: The user's command, for the manifest.

    Returns:
        The outcome. After Ctrl-C, the status is `stopped`, and all results so far are kept.

    Raises:
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
        return _run_plan(plan, folder, command, precision, progress)


def _run_plan(plan: Plan, folder: Path, command: str, precision: Precision, progress: Progress) -> RunResult:
    earlier = read_manifest(folder) if (folder / MANIFEST_NAME).is_file() else None
    study = plan.study
    with open_store(folder, create=True, name=study.name) as store:
        for note in store.notes:
            progress.say(note)
        manifest = open_manifest(plan, folder, command, precision, earlier)
        damage = store.damage()
        if damage:
            write_manifest(folder, manifest)  # from now on the run isn't finished any more
            _set_aside(store, damage, folder, progress)
        kept = manifest.n_done(store.evaluations())
        if earlier is not None and not damage and is_finished(earlier, kept):
            progress.say(
                f"all {kept} evaluations are done already; checking that models and methods are the same"
            )
            log = RunLog(plan, folder, store, earlier, progress)
            with watched(progress, log.workload):
                check_unchanged(log, precision)
            return RunResult(folder, earlier.status, kept, earlier.evaluations_planned)
        log = RunLog(plan, folder, store, manifest, progress)
        try:
            write_manifest(folder, manifest)
            if kept:
                progress.say(f"{kept} of {manifest.evaluations_planned} evaluations are done and kept")
            with watched(progress, log.workload):
                for name in study.models:
                    _run_model(log, name, precision)
            log.finish(Status.COMPLETE)
        except KeyboardInterrupt:
            with interrupts_deferred(dropped=True):  # of a key that is pressed again while the run stops
                log.finish(Status.STOPPED)
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


def _run_model(log: RunLog, name: str, precision: Precision) -> None:
    study = log.plan.study
    with log.workload.doing(loading(name), f"loading {name}"):
        model = _load(log, name, precision)
    routers = chat_templates(model, study.asking_template)
    sessions = log.plan.sessions(model, log.progress)
    expected = frozenset(session.editor.lowest_block(model) for session in sessions)
    with open_engine(study.engine, model, study.memory, expected, log.progress) as engine:
        monitor_log = MonitorLog(HealthMonitor(model, engine), log.store)
        _run_trajectories(log, CheckpointMeasuring(log, model, engine, monitor_log, routers), sessions)


def _run_trajectories(log: RunLog, measuring: CheckpointMeasuring, sessions: Sequence[EditSession]) -> None:
    trajectories = log.plan.trajectories(sessions)
    log.update(with_trajectories(log.manifest, trajectories, log.folder))
    # Quick suites give early numbers. Then the editors prepare, so that unusable settings are reported
    # before slow measurements. All shuffle seeds share a session and its prepared editor.
    measuring.measure_unedited()
    for first in trajectories[:: len(log.plan.study.order_seeds)]:
        _prepare(log, first)
    before = measuring.answers_before()
    measuring.measure_unedited(before)
    for trajectory in trajectories:
        run_trajectory(log, measuring, trajectory, before)


def _load(log: RunLog, name: str, precision: Precision) -> LanguageModel:
    """Loads a model and records its fingerprint in the manifest.

    Raises:
        SequelaError: Its results would be mixed with those of another model.
    """
    log.progress.say(f"loading {name}")
    started = time.perf_counter()
    model = load_model(
        name,
        device=log.plan.study.device,
        device_map=log.plan.study.device_map,
        dtype=precision.name,
        progress=log.progress,
    )
    log.cost("load model", started, model=model.name)
    log.update(with_model(log.manifest, name, model, log.folder))
    findings = log.plan.findings(model)
    for one in findings:
        log.progress.say(f"{log.plan.edits.name}: {one.sentence}")
    log.update(with_findings(log.manifest, name, findings))
    return model


def _prepare(log: RunLog, trajectory: Trajectory) -> None:
    started = time.perf_counter()
    session, model = trajectory.session, trajectory.session.model
    label = log.label(model, trajectory.label, "statistics and contexts")
    with log.workload.doing(preparing(model.name, session.editor.name), label):
        log.update(with_inputs(log.manifest, session, log.folder))
    log.cost("statistics and contexts", started, trajectory.labels(0))
