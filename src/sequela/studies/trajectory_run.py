"""Execution of one trajectory: its edits batch by batch, from checkpoint to checkpoint."""

from __future__ import annotations

from collections.abc import Mapping

from sequela.core.wording import number_of
from sequela.edits import EditsInForce
from sequela.evaluation.edit_quality.measure import SUCCESS_AT_EDIT, Answers, measure_edits
from sequela.evaluation.monitor_rules import is_due
from sequela.results import CostRecord
from sequela.studies.checkpoint_measuring import CheckpointMeasuring, Unedited
from sequela.studies.checkpoints import (
    Checkpoint,
    checkpoint_folder,
    load_checkpoint,
    ranks_of,
    save_checkpoint,
)
from sequela.studies.early_stop import check_health, end_early, health_note, stored_stop
from sequela.studies.peak_memory import peak_memory_bytes
from sequela.studies.pieces import editing, reading_alarms
from sequela.studies.run_log import RunLog
from sequela.studies.trajectory import Trajectory


def run_trajectory(
    log: RunLog, measuring: CheckpointMeasuring, trajectory: Trajectory, before: Unedited
) -> None:
    """Runs a trajectory from checkpoint to checkpoint; stored checkpoints are not repeated.

    Args:
        log: The records of the run.
        measuring: The measurements of the trajectory's model.
        trajectory: The trajectory.
        before: The unedited model's output.
    """
    session, model = trajectory.session, trajectory.session.model
    at = Checkpoint.of(session.start())
    for n_edits in log.plan.study.checkpoints[1:]:
        reached, stopped = stored_stop(log, trajectory, at.n_edits, n_edits)
        folder = checkpoint_folder(log.folder, trajectory.key, reached)
        stored = load_checkpoint(folder, reached, model, session.editor)
        if stored is not None:
            _skip_pieces(log, trajectory, at.n_edits, reached)
            at = stored
        else:
            log.store.discard_costs("edit", trajectory.key, after=at.n_edits)
            at, stopped = _edit_up_to(log, measuring, trajectory, at, n_edits, before.answers)
            if at.n_edits:
                folder = checkpoint_folder(log.folder, trajectory.key, at.n_edits)
                ids = tuple(edit.id for edit in trajectory.edits[: at.n_edits])
                save_checkpoint(folder, at, model, session.editor, ids)
        if at.n_edits == n_edits:
            measuring.measure_checkpoint(trajectory, at, before)
        if stopped:
            end_early(log, trajectory, at.n_edits, stopped)
            return


def _skip_pieces(log: RunLog, trajectory: Trajectory, done: int, n_edits: int) -> None:
    """Marks the work between two numbers of edits, which is stored already, as finished."""
    session, model = trajectory.session, trajectory.session.model.name
    for edits in session.batches(trajectory.edits[:n_edits], done):
        log.workload.skip(editing(model, session.editor.name, len(edits)))
    for due in log.plan.study.monitors_due(session.batch_size):
        if done < due <= n_edits:
            log.workload.skip(reading_alarms(model))


def _edit_up_to(
    log: RunLog,
    measuring: CheckpointMeasuring,
    trajectory: Trajectory,
    at: Checkpoint,
    n_edits: int,
    answers: Answers,
) -> tuple[Checkpoint, str]:
    """Applies edits up to `n_edits`; returns the checkpoint reached and the reason for an early stop."""
    session, study = trajectory.session, log.plan.study
    ranks: dict[int, Mapping[str, int]] = {}
    stored = log.store.edit_records(trajectory.key)
    dropped = {one.edit_id for one in stored if one.dropped and one.position <= at.n_edits}
    for edits in session.batches(trajectory.edits[:n_edits], at.n_edits):
        applied = at.n_edits + len(edits)
        position = f"{trajectory.label}: edit {applied} of {study.n_edits}"
        log.progress.say(f"{session.model.name}, {position}")
        piece = editing(session.model.name, session.editor.name, len(edits))
        with log.workload.doing(piece, log.label(session.model, position)):
            result = session.apply_batch(edits, at)
            edited = session.edited(result, measuring.routers)
            dropped |= {report.edit_id for report in result.reports if report.dropped}
            for report in result.reports:
                if report.dropped:
                    say = f"{session.model.name}, {trajectory.label}: edit {report.edit_id!r} dropped"
                    log.progress.say(f"{say}: {report.dropped}")
            in_force = EditsInForce(trajectory.questions, applied, frozenset(dropped))
            items = measure_edits(
                edited,
                measuring.engine,
                edits,
                SUCCESS_AT_EDIT,
                study.edit_quality,
                answers,
                in_force=in_force,
            )
            items = measuring.with_known_before(items)
        log.store.write_edit_records(trajectory.records(result, items))
        log.store.write_cost(
            CostRecord(
                step="edit",
                seconds=result.seconds,
                units=len(edits),
                peak_memory_bytes=peak_memory_bytes(),
                trajectory=trajectory.key,
                model=session.model.name,
                editor=session.editor.name,
                variant=trajectory.variant,
                n_edits=applied,
            )
        )
        if result.stopped:
            return at, result.stopped
        current = ranks_of(result.delta)
        if current is not None:
            ranks[applied] = current
        before, at = at.n_edits, Checkpoint.of(result, dict(ranks))
        if is_due(before, applied, study.alarms.every):
            label = log.label(
                session.model, f"{trajectory.label}, {number_of('edit', applied)}, health metrics"
            )
            with log.workload.doing(reading_alarms(session.model.name), label):
                triggered_rules = check_health(log, measuring.monitor_log, trajectory, at)
            if triggered_rules:
                return at, health_note(triggered_rules)
    return at, ""
