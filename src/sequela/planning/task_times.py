"""The time and the disk space of each task of a model."""

from __future__ import annotations

from dataclasses import dataclass, field

from sequela.editors.session import EditSession
from sequela.planning.counts import Counts
from sequela.planning.disk import DiskSpace, of_checkpoint, of_measurement
from sequela.planning.methods import MethodShape, method_key
from sequela.planning.planned_model import PlannedModel
from sequela.planning.speed import Clockwork, Flops, MethodSpeed, Speed
from sequela.planning.suites import REFERENCE_ANSWERS, suite_key
from sequela.planning.work import Work
from sequela.results import EDIT_QUALITY, method_label
from sequela.scheduling import Task
from sequela.studies.tasks import EditTask, MeasureTask, OfModel, TaskKind


@dataclass(frozen=True)
class TaskEstimate:
    """The time and the space that a task will take.

    Args:
        kind: The kind of the task, in words.
        of: The method, `unedited model`, or the model that is loaded.
        what: The suite, or `edits`.
        seconds: Its time.
        n_edits: The number of edits that it applies; 0 for other tasks.
        work: What it asks of engines.
        disk: The space of its output.
        stored: Whether its output is in the store already; None if that is unknown.
    """

    kind: str
    of: str
    what: str
    seconds: float
    n_edits: int = 0
    work: Work = field(default_factory=Work, repr=False)
    disk: DiskSpace = field(default_factory=DiskSpace, repr=False)
    stored: bool | None = None


@dataclass(frozen=True)
class TaskTimes:
    """Estimates the tasks of one model.

    Args:
        planned: The model without its weights.
        counts: What the study asks of it.
        speed: The speed of the model.
        shapes: What each method does.
    """

    planned: PlannedModel
    counts: Counts
    speed: Speed
    shapes: tuple[MethodShape, ...]

    def of(self, task: Task, stored: bool | None) -> TaskEstimate:
        """Returns the estimate of a task."""
        payload = task.payload
        if isinstance(payload, EditTask):
            return self._edits(payload, stored)
        if isinstance(payload, MeasureTask):
            return self._measured(payload, stored)
        assert isinstance(payload, OfModel)
        if task.kind == TaskKind.PREPARE.value:
            return self._prepared(payload.method or 0)
        if task.kind == TaskKind.ASK_UNEDITED.value:
            answers = self.counts.answers.scaled(self._share(payload))
            return self._unedited(REFERENCE_ANSWERS, answers, stored)
        if task.kind == TaskKind.MONITOR_UNEDITED.value:
            return self._unedited("health metrics", self.counts.health, stored)
        work = self.counts.suites[payload.suite]
        return self._unedited(payload.suite, work.scaled(self._share(payload)), stored)

    def _share(self, asked: OfModel) -> float:
        """Returns the share of the study's edits about which the unedited model is asked."""
        plan, about_edits = self.planned.plan, asked.suite in ("", EDIT_QUALITY)
        return len(plan.samples[asked.edit_sample]) / len(plan.edits) if about_edits else 1.0

    def method_speed(self, method: int) -> MethodSpeed | None:
        """Returns the speed of a method; None if it wasn't measured."""
        return self.speed.methods.get(method_key(self.session(method)))

    def session(self, method: int) -> EditSession:
        """Returns the session of a method, by its position in the study."""
        return self.planned.sessions[method]

    def name_of(self, method: int) -> str:
        """Returns a method with its variant."""
        editor = self.session(method).editor
        return method_label(editor.name, editor.variant)

    @property
    def _clockwork(self) -> Clockwork:
        return Clockwork(self.speed, Flops.of(self.planned.model))

    def _seconds(self, work: Work, suite: str, first_block: int = 0) -> float:
        return self._clockwork.of(work, suite_key(self.planned, suite), first_block)

    def _storing(self, work: Work) -> float:
        """Returns the seconds to store an output with the items of some work, and to write its results."""
        return self.speed.task_seconds + work.n_items * self.speed.item_seconds

    def _unedited(self, suite: str, work: Work, stored: bool | None) -> TaskEstimate:
        seconds = self._seconds(work, suite) + self._storing(work)
        return TaskEstimate(
            "measure", UNEDITED, suite, seconds, work=work, disk=of_measurement(work), stored=stored
        )

    def _measured(self, task: MeasureTask, stored: bool | None) -> TaskEstimate:
        if task.suite == EDIT_QUALITY:
            work, first_block = self.counts.quality(task.at.n_edits), 0
        else:
            work, first_block = self.counts.suites[task.suite], self.shapes[task.at.method].lowest_block
        seconds = self._seconds(work, task.suite, first_block) + self._storing(work)
        return TaskEstimate(
            "measure",
            self.name_of(task.at.method),
            task.suite,
            seconds,
            work=work,
            disk=of_measurement(work),
            stored=stored,
        )

    def _prepared(self, method: int) -> TaskEstimate:
        speed = self.method_speed(method)
        seconds = speed.prepare_seconds + speed.first_seconds if speed is not None else 0.0
        return TaskEstimate("prepare", self.name_of(method), "contexts", seconds, stored=False)

    def _edits(self, task: EditTask, stored: bool | None) -> TaskEstimate:
        method, count = task.to.method, task.to.n_edits - task.start
        session, speed = self.session(method), self.method_speed(method)
        n_batches = -(-count // session.batch_size)
        success = self.counts.success(session.batch_size)
        work, health = success.times(n_batches), self.counts.health
        if speed is None or speed.success_seconds is None:
            seconds = self._seconds(work, EDIT_QUALITY)
        else:
            seconds = n_batches * speed.success_seconds
        if speed is not None:
            seconds += n_batches * speed.batch_seconds
        due = self.planned.plan.study.monitors_due(session.batch_size)
        n_readings = sum(task.start < n <= task.to.n_edits for n in due)
        seconds += n_readings * self._seconds(health, "health metrics") if n_readings else 0.0
        disk = of_checkpoint(
            session, self.shapes[method], self.planned.model, speed, task.to.n_edits, success
        )
        return TaskEstimate(
            "edit",
            self.name_of(method),
            "edits",
            seconds + self._storing(success.times(task.to.n_edits / session.batch_size)),
            n_edits=count,
            work=work,
            disk=disk,
            stored=stored,
        )


UNEDITED = "unedited model"
"""The name of the unedited model in estimates."""
