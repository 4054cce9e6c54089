"""The workbench of a worker: it does the tasks of a study, and keeps the model of the last one in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sequela.core.precision import Precision
from sequela.core.progress import Progress
from sequela.core.wording import number_of
from sequela.edited import EditedModel
from sequela.edits import Edit, EditsInForce
from sequela.evaluation.edit_quality.measure import RETENTION_AT_N, measure_edits, neighborhood_answers
from sequela.evaluation.edit_quality.text_quality import measure_texts, reference_texts
from sequela.evaluation.hit_rate import evaluate_counting
from sequela.evaluation.suite import Suite
from sequela.results import EDIT_QUALITY, ItemRecord, TaskResult
from sequela.scheduling import Skipped, Task, Unreadable
from sequela.store import Address, DamagedObjectError, MissingObjectError, Store
from sequela.studies.claims import ClaimingWorkbench
from sequela.studies.edit_steps import EditSteps
from sequela.studies.model_tasks import LoadedModel, ModelTasks, PlannedMethod, PreparedMethod
from sequela.studies.model_workspace import ModelWorkspace
from sequela.studies.outputs import Health, Measured, Outputs, Unedited
from sequela.studies.peak_memory import peak_memory_bytes
from sequela.studies.plan import Plan, make_plan
from sequela.studies.study import Study
from sequela.studies.task_keys import Output
from sequela.studies.tasks import EditTask, MeasureTask, OfModel, TaskKind

Measurements = tuple[Sequence[TaskResult], Sequence[ItemRecord]]
"""The results of a suite, and all items; the results of edit quality follow from items of several tasks."""


class StudyWorkbench:
    """Does the tasks of a study.

    Args:
        plan: The plan of the study.
        store: The store of the outputs.
        precision: The data type of the weights.
    """

    def __init__(self, plan: Plan, store: Store, precision: Precision) -> None:
        self._plan = plan
        self._outputs = Outputs(store)
        self._precision = precision
        self._workspace: tuple[str, ModelWorkspace] | None = None

    @classmethod
    def of_plan(cls, plan: Plan, store: Store, precision: Precision) -> ClaimingWorkbench:
        """Returns a workbench that shares tasks with other processes."""
        return ClaimingWorkbench(cls(plan, store, precision), store)

    @classmethod
    def of_study(cls, study: Study, store: Store, precision: Precision) -> ClaimingWorkbench:
        """Returns the workbench of another process, which reads the edits and suites by itself."""
        return cls.of_plan(make_plan(study), store, precision)

    def close(self) -> None:
        """Releases the model."""
        if self._workspace is not None:
            self._workspace[1].close()
            self._workspace = None

    def run(self, task: Task, progress: Progress) -> object:
        """Does a task; see `Workbench`."""
        does: dict[str, Callable[[ModelWorkspace, Task], object]] = {
            TaskKind.LOAD.value: self._load,
            TaskKind.PREPARE.value: self._prepare,
            TaskKind.PLAN_METHOD.value: self._plan_method,
            TaskKind.ASK_UNEDITED.value: self._ask_unedited,
            TaskKind.MEASURE_UNEDITED.value: self._measure_unedited,
            TaskKind.MONITOR_UNEDITED.value: self._monitor_unedited,
            TaskKind.EDIT.value: self._edit,
            TaskKind.MEASURE.value: self._measure,
        }
        try:
            return does[task.kind](self._workspace_of(task, progress), task)
        except (DamagedObjectError, MissingObjectError) as error:
            if str(error.address) in task.needs:
                return Unreadable((str(error.address),), error.message)
            raise

    def _workspace_of(self, task: Task, progress: Progress) -> ModelWorkspace:
        """Returns the model of a task; one that is held for another task is released first."""
        (name, *_) = task.place
        if self._workspace is None or self._workspace[0] != name:
            self.close()
            self._workspace = (
                name,
                ModelWorkspace(self._plan, name, self._precision, progress, self._outputs.store),
            )
        return self._workspace[1]

    def _load(self, workspace: ModelWorkspace, task: Task) -> LoadedModel:
        return ModelTasks(workspace, task.key).loaded()

    def _prepare(self, workspace: ModelWorkspace, task: Task) -> PreparedMethod:
        assert isinstance(task.payload, OfModel)
        assert task.payload.method is not None
        session = workspace.sessions[task.payload.method]
        session.start()
        return PreparedMethod(peak_memory_bytes(), session.used_objects)

    def _plan_method(self, workspace: ModelWorkspace, task: Task) -> PlannedMethod:
        assert isinstance(task.payload, OfModel)
        assert task.payload.method is not None
        return ModelTasks(workspace, task.needs[0]).planned(task.payload.method)

    def _ask_unedited(self, workspace: ModelWorkspace, task: Task) -> None:
        assert isinstance(task.payload, OfModel)
        sample = task.payload.edit_sample
        settings, edits = self._plan.study.edit_quality, self._plan.samples[sample]
        workspace.progress.say(f"{workspace.model.name}: asking the unedited model for reference answers")
        answers = neighborhood_answers(
            workspace.unedited, workspace.engine, edits, settings, workspace.progress
        )
        texts = reference_texts(workspace.unedited, workspace.engine, edits, settings, workspace.progress)
        output = Unedited(answers=dict(answers), texts=dict(texts))
        self._outputs.write_unedited(workspace.keys_of(sample).unedited_answers(), output)

    def _monitor_unedited(self, workspace: ModelWorkspace, task: Task) -> None:
        started = time.perf_counter()
        output = Health(
            n_edits=0,
            metrics=dict(workspace.monitor.unedited),
            model_hash=EditedModel(workspace.model).content_hash,
            seconds=time.perf_counter() - started,
            peak_memory_bytes=peak_memory_bytes(),
        )
        self._outputs.write_health(workspace.keys.unedited_health(workspace.monitor.version), output)

    def _measure_unedited(self, workspace: ModelWorkspace, task: Task) -> None:
        assert isinstance(task.payload, OfModel)
        edited = workspace.unedited
        if task.payload.suite == EDIT_QUALITY:
            sample = task.payload.edit_sample
            keys, edits = workspace.keys_of(sample), self._plan.samples[sample]
            before = self._outputs.read_unedited(keys.unedited_answers().address)
            self._keep(
                keys.unedited_quality(),
                edited,
                lambda: ((), self._retention(workspace, edited, before, edits)),
            )
        else:
            suite = self._plan.suite(task.payload.suite)
            self._keep(workspace.keys.unedited(suite), edited, lambda: _of_suite(workspace, edited, suite))

    def _edit(self, workspace: ModelWorkspace, task: Task) -> Skipped | None:
        assert isinstance(task.payload, EditTask)
        return EditSteps(workspace, self._outputs, task.payload).apply()

    def _measure(self, workspace: ModelWorkspace, task: Task) -> Skipped | None:
        assert isinstance(task.payload, MeasureTask)
        payload = task.payload
        at, address = payload.at, Address.parse(payload.checkpoint)
        log, _ = self._outputs.read_log(address)
        if log.n_edits != at.n_edits:
            return Skipped(log.end)
        trajectory = workspace.trajectories[at.trajectory]
        checkpoint = self._outputs.read_checkpoint(
            address, at.n_edits, workspace.model, trajectory.session.editor
        )
        edited = trajectory.session.edited(checkpoint, workspace.routers)
        made = workspace.checkpoint_output(at)
        if payload.suite == EDIT_QUALITY:
            where = f"{workspace.model.name}, {trajectory.label}"
            workspace.progress.say(f"{where}: measuring after {number_of('edit', at.n_edits)}")
            before = self._outputs.read_unedited(Address.parse(payload.reference))
            in_force = EditsInForce(trajectory.questions, at.n_edits, frozenset(log.dropped))
            edits = trajectory.edits[: at.n_edits]
            self._keep(
                workspace.keys_of(at.edit_sample).measured_quality(made),
                edited,
                lambda: ((), self._retention(workspace, edited, before, edits, in_force)),
            )
        else:
            suite = self._plan.suite(payload.suite)
            self._keep(
                workspace.keys.measured(made, suite), edited, lambda: _of_suite(workspace, edited, suite)
            )
        return None

    def _retention(
        self,
        workspace: ModelWorkspace,
        edited: EditedModel,
        before: Unedited,
        edits: Sequence[Edit],
        in_force: EditsInForce | None = None,
    ) -> list[ItemRecord]:
        """Measures the retention of edits on a model, and the quality of its texts about their subjects."""
        settings, engine, progress = self._plan.study.edit_quality, workspace.engine, workspace.progress
        task, answers, texts = RETENTION_AT_N, before.answers, before.texts
        kept = [one for one in edits if in_force is None or in_force.superseding(one) is None]
        return [
            *measure_edits(edited, engine, edits, task, settings, answers, progress, in_force),
            *measure_texts(edited, engine, kept, task, settings, texts, progress),
        ]

    def _keep(self, output: Output, edited: EditedModel, measure: Callable[[], Measurements]) -> None:
        """Measures a model and stores the results."""
        started = time.perf_counter()
        results, items = measure()
        measured = Measured(
            model_hash=edited.content_hash,
            seconds=time.perf_counter() - started,
            peak_memory_bytes=peak_memory_bytes(),
            results=tuple(results),
            items=tuple(items),
        )
        self._outputs.write_measured(output, measured)


def _of_suite(workspace: ModelWorkspace, edited: EditedModel, suite: Suite) -> Measurements:
    results = evaluate_counting(suite, edited, workspace.engine, workspace.progress)
    return results, [item for result in results for item in result.items]
