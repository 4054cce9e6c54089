"""The edits between two checkpoints: applied batch by batch, measured right after each batch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sequela.core.progress import counted
from sequela.core.wording import number_of
from sequela.editors import EditReport
from sequela.editors.session import Snapshot
from sequela.edits import Edit, EditsInForce
from sequela.evaluation.edit_quality.measure import SUCCESS_AT_EDIT, measure_edits
from sequela.evaluation.monitor_rules import is_due, triggered
from sequela.results import ItemRecord
from sequela.scheduling import Skipped
from sequela.store import Address
from sequela.studies.checkpoints import Checkpoint, ranks_of
from sequela.studies.model_workspace import ModelWorkspace
from sequela.studies.outputs import Batch, Health, Outputs, TrajectoryLog, Unedited
from sequela.studies.peak_memory import peak_memory_bytes
from sequela.studies.tasks import EditTask


class EditSteps:
    """Applies the edits of a task.

    Args:
        workspace: The model.
        outputs: The outputs of tasks.
        task: The task.
    """

    def __init__(self, workspace: ModelWorkspace, outputs: Outputs, task: EditTask) -> None:
        self._workspace = workspace
        self._outputs = outputs
        self._task = task
        self._trajectory = workspace.trajectories[task.to.trajectory]
        self._where = f"{workspace.model.name}, {self._trajectory.label}"
        self._batches: list[Batch] = []
        self._health: list[Health] = []
        self._success: list[ItemRecord] = []

    def apply(self) -> Skipped | None:
        """Applies the edits and stores the checkpoint; skips them if the trajectory has ended before.

        Raises:
            DamagedObjectError: The checkpoint to continue from is damaged.
            MissingObjectError: It isn't there.
        """
        task, session = self._task, self._trajectory.session
        before = self._outputs.read_unedited(Address.parse(task.reference))
        at = Checkpoint.of(session.start())
        if task.before:
            address = Address.parse(task.before)
            log, self._success = self._outputs.read_log(address)
            if log.stopped:
                return Skipped(log.end)
            self._batches, self._health = list(log.batches), list(log.health)
            at = self._outputs.read_checkpoint(address, task.start, session.model, session.editor)
        at, stopped = self._advance(at, before)
        output = self._workspace.checkpoint_output(task.to)
        log = TrajectoryLog(
            n_edits=at.n_edits, batches=tuple(self._batches), health=tuple(self._health), stopped=stopped
        )
        self._outputs.write_checkpoint(output, (at, session.model, session.editor), log, self._success)
        return None

    def _advance(self, at: Checkpoint, before: Unedited) -> tuple[Checkpoint, str]:
        """Applies batch after batch; returns the checkpoint reached and the reason for an early stop."""
        session, edits, to = self._trajectory.session, self._trajectory.edits, self._task.to.n_edits
        every = self._workspace.plan.study.alarms.every
        ranks: dict[int, Mapping[str, int]] = {}
        for batch in self._counted(session.batches(edits[:to], at.n_edits), to - at.n_edits):
            position = f"edit {at.n_edits + len(batch)} of {self._workspace.plan.study.n_edits}"
            self._workspace.progress.say(f"{self._where}: {position}")
            result = session.apply_batch(batch, at)
            self._note_dropped(result.reports)
            self._batches.append(
                Batch(
                    n_edits=result.n_edits,
                    reports=result.reports,
                    seconds=result.seconds,
                    peak_memory_bytes=peak_memory_bytes(),
                )
            )
            self._success += self._measured(batch, result, before)
            if result.stopped:
                return at, result.stopped
            current = ranks_of(result.delta)
            if current is not None:
                ranks[result.n_edits] = current
            applied, at = at.n_edits, Checkpoint.of(result, dict(ranks))
            if is_due(applied, at.n_edits, every) and (rules := self._check_health(at)):
                return at, health_note(rules)
        return at, ""

    def _counted(self, batches: Iterable[Sequence[Edit]], n_edits: int) -> Iterator[Sequence[Edit]]:
        """Yields batches and reports their edits as progress."""
        with counted(self._workspace.progress, "edits", n_edits) as advance:
            for batch in batches:
                yield batch
                advance(len(batch))

    def _note_dropped(self, reports: Sequence[EditReport]) -> None:
        for report in reports:
            if report.dropped:
                self._workspace.progress.say(
                    f"{self._where}: edit {report.edit_id!r} dropped: {report.dropped}"
                )

    def _measured(self, batch: Sequence[Edit], at: Snapshot, before: Unedited) -> list[ItemRecord]:
        """Measures a batch right after it."""
        workspace, trajectory = self._workspace, self._trajectory
        dropped = {report.edit_id for batch in self._batches for report in batch.reports if report.dropped}
        return measure_edits(
            trajectory.session.edited(at, workspace.routers),
            workspace.engine,
            batch,
            SUCCESS_AT_EDIT,
            workspace.plan.study.edit_quality,
            before.answers,
            in_force=EditsInForce(trajectory.questions, at.n_edits, frozenset(dropped)),
        )

    def _check_health(self, at: Snapshot) -> list[str]:
        """Measures the health metrics; returns the triggered rules that end the trajectory."""
        workspace, settings, started = self._workspace, self._workspace.plan.study.alarms, time.perf_counter()
        edited = self._trajectory.session.edited(at)
        metrics = workspace.monitor.measure(edited)
        self._health.append(
            Health(
                n_edits=at.n_edits,
                metrics=metrics,
                model_hash=edited.content_hash,
                seconds=time.perf_counter() - started,
                peak_memory_bytes=peak_memory_bytes(),
            )
        )
        if marked := triggered(
            (*settings.stop_when, *settings.mark_when), metrics, workspace.monitor.unedited
        ):
            count = number_of("edit", at.n_edits)
            workspace.progress.say(f"{self._where}, {count}: {health_note(marked)}")
        return triggered(settings.stop_when, metrics, workspace.monitor.unedited)


def health_note(rules: Sequence[str]) -> str:
    """Returns the note on triggered health rules; empty if there are none."""
    return f"triggered health rule {', '.join(rules)}" if rules else ""
