"""The early end of a trajectory: by a triggered health rule, or by the policy for bad edits."""

from __future__ import annotations

import math
import time

from sequela.core.wording import number_of
from sequela.editors.session import Snapshot
from sequela.evaluation.monitor_rules import triggered
from sequela.results import ALARMS, UNEDITED, Query
from sequela.studies.monitor_log import HealthMetrics, MonitorLog
from sequela.studies.pieces import trajectory_pieces
from sequela.studies.run_log import RunLog
from sequela.studies.trajectory import Trajectory


def check_health(log: RunLog, monitor_log: MonitorLog, trajectory: Trajectory, at: Snapshot) -> list[str]:
    """Measures and stores the health metrics; returns the triggered rules that end the trajectory.

    Args:
        log: The records of the run.
        monitor_log: The health metrics of the model's trajectories.
        trajectory: The trajectory.
        at: The snapshot to measure.
    """
    settings, unedited = log.plan.study.alarms, monitor_log.unedited
    started = time.perf_counter()

    def note(metrics: HealthMetrics) -> str:
        rules = triggered((*settings.stop_when, *settings.mark_when), metrics, unedited)
        return health_note(rules) if rules else ""

    metrics = monitor_log.measure(trajectory, at, note)
    labels = trajectory.labels(at.n_edits)
    if message := note(metrics):
        log.progress.say(f"{labels.model}, {trajectory.label}, {number_of('edit', at.n_edits)}: {message}")
    log.cost("evaluate", started, labels, trajectory.key, at.n_edits, ALARMS)
    return triggered(settings.stop_when, metrics, unedited)


def stored_stop(log: RunLog, trajectory: Trajectory, done: int, n_edits: int) -> tuple[int, str]:
    """Returns where and why stored health metrics end a trajectory, so that a resumed run ends there too.

    Args:
        log: The records of the run.
        trajectory: The trajectory.
        done: The number of edits that were applied without a stop.
        n_edits: The number of edits to be reached.

    Returns:
        The number of edits at which the trajectory ends, and the reason; `n_edits` and an empty reason if the
        stored metrics trigger no rule.
    """
    settings, label = log.plan.study.alarms, trajectory.labels(n_edits)
    if not settings.stop_when:
        return n_edits, ""
    unedited = _metrics(log, Query(model=label.model, editor=UNEDITED, n_edits=0, suite=ALARMS))
    for due in log.plan.study.monitors_due(trajectory.session.batch_size):
        if not done < due <= n_edits:
            continue
        query = Query(
            model=label.model,
            editor=label.editor,
            variant=label.variant,
            order_seed=label.order_seed,
            n_edits=due,
            suite=ALARMS,
        )
        metrics = _metrics(log, query)
        rules = triggered(settings.stop_when, metrics, unedited) if metrics and unedited else []
        if rules:
            return due, health_note(rules)
    return n_edits, ""


def _metrics(log: RunLog, query: Query) -> HealthMetrics:
    """Returns stored health metrics; a value that was not finite, which is stored as none, is infinite."""
    return {one.metric: math.inf if one.value is None else one.value for one in log.store.measurements(query)}


def health_note(rules: list[str]) -> str:
    """Returns the note on triggered health rules."""
    return f"triggered health rule {', '.join(rules)}"


def end_early(log: RunLog, trajectory: Trajectory, n_edits: int, reason: str) -> None:
    """Records that a trajectory ends early, and adjusts the number of planned evaluations.

    Args:
        log: The records of the run.
        trajectory: The trajectory.
        n_edits: The number of edits after which it ends.
        reason: The reason, in words.
    """
    plan, model, editor = log.plan, trajectory.session.model.name, trajectory.session.editor.name
    batch_size = trajectory.session.batch_size
    left = [n for n in plan.study.checkpoints if n > n_edits]
    unmonitored = sum(n > n_edits for n in plan.study.monitors_due(batch_size))
    unmeasured = len(left) * (len(plan.suites) + 1) + unmonitored
    note = (
        f"{model}, {trajectory.label}, shuffle seed {trajectory.order_seed}: stopped after "
        f"{number_of('edit', n_edits)}: {reason}."
    )
    if left:
        note += f" Checkpoints not reached: {', '.join(map(str, left))}."
    log.progress.say(note)
    for piece in trajectory_pieces(plan, model, editor, batch_size, after=n_edits):
        log.workload.skip(piece)
    planned = log.manifest.evaluations_planned - unmeasured
    notes = (*log.manifest.notes, note)
    log.update(log.manifest.model_copy(update={"evaluations_planned": planned, "notes": notes}))
