"""Collects the outputs of a study's tasks into the results and the manifest of its run.

Only the main process writes them, task by task in the order of the graph, so that they depend neither on the
number of workers nor on their speed. Labels and comparisons with the unedited model are added here: outputs
have none, since studies share them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sequela.core.errors import SequelaError
from sequela.core.wording import number_of
from sequela.edits import EditSet
from sequela.evaluation.edit_quality.known_before import known_before_all, with_known_before
from sequela.evaluation.edit_quality.measure import RETENTION_AT_N, SUCCESS_AT_EDIT, task_results
from sequela.evaluation.monitor_rules import triggered
from sequela.evaluation.monitors import health_results
from sequela.results import (
    ALARMS,
    EDIT_QUALITY,
    UNEDITED,
    CostRecord,
    EarlyEnd,
    EditRecord,
    EvaluationKey,
    ItemRecord,
    Labels,
    TaskResult,
    with_dropped,
)
from sequela.scheduling import Outcome, Task
from sequela.store import Address
from sequela.studies.baseline import Baseline, measurements
from sequela.studies.edit_steps import health_note
from sequela.studies.headline import headline
from sequela.studies.model_tasks import LoadedModel, PlannedMethod, PreparedMethod, TrajectoryFacts
from sequela.studies.outdated import remove_outdated_inputs, remove_outdated_model
from sequela.studies.outputs import Batch, Health, Measured, Outputs, TrajectoryLog
from sequela.studies.run_checkpoints import keep_checkpoint
from sequela.studies.run_log import RunLog
from sequela.studies.run_manifest import (
    check_trajectories_stored,
    with_findings,
    with_inputs,
    with_model,
    with_trajectories,
)
from sequela.studies.tasks import EditTask, MeasureTask, OfModel, Position, TaskKind
from sequela.studies.trajectory_names import of_sample


class Collector:
    """Writes the results of a run.

    Args:
        log: The records of the run.
        outputs: The outputs of tasks.
        finished: Whether all results are written already, so that only what tasks follow is checked.
        updates: Whether results of other models, methods or inputs are removed, instead of refusing the run.

    Attributes:
        refusal: The reason why no tasks may follow from a model or a method; None if there is none.
    """

    def __init__(self, log: RunLog, outputs: Outputs, finished: bool = False, updates: bool = False) -> None:
        self._finished = finished
        self._updates = updates
        self.refusal: SequelaError | None = None
        self._log = log
        self._outputs = outputs
        self._models: dict[str, _Model] = {}
        self._payloads: dict[str, list[object]] = defaultdict(list)
        self._ended: set[str] = set()

    def expand(self, outcome: Outcome) -> Sequence[Task]:
        """Returns the tasks that follow from the result of a task; writes what it says to the manifest.

        Raises:
            OtherRunError: The results would be mixed with those of other models, methods or inputs.
        """
        try:
            return self._expanded(outcome.result, outcome.seconds)
        except SequelaError as error:
            self.refusal = error
            raise

    def _expanded(self, result: object, seconds: float) -> Sequence[Task]:
        log = self._log
        if isinstance(result, LoadedModel):
            had_keys = bool(log.manifest.trajectory_keys)
            if self._updates:
                remove_outdated_model(log, result)
            log.update(with_model(log.manifest, result, log.folder))
            for sample, findings in result.findings.items():
                name = of_sample(log.plan.edits.name, sample)
                for one in findings:
                    log.progress.say(f"{name}: {one.sentence}")
            log.update(with_findings(log.manifest, result.name, result.findings))
            log.update(with_trajectories(log.manifest, result, log.folder))
            self._models[result.name] = _Model(result)
            if not self._finished:
                peak = result.peak_memory_bytes
                cost = CostRecord(
                    step="load model", seconds=seconds, peak_memory_bytes=peak, model=result.name
                )
                log.store.write_cost(cost)
            elif not had_keys:  # of an earlier version
                check_trajectories_stored(result, log.store.evaluations(), log.folder)
            tasks = result.tasks
        elif isinstance(result, PlannedMethod):
            if self._updates:
                remove_outdated_inputs(log, result)
            log.update(with_inputs(log.manifest, result, log.folder))
            tasks = result.tasks
        else:
            return ()
        tasks = tuple(task for task in tasks if log.part.has(log.plan.study, task))
        for task in tasks:
            self._payloads[task.key].append(task.payload)
        return tasks

    def collect(self, outcome: Outcome) -> None:
        """Writes the output of a task, for each place in the study to which it belongs.

        Raises:
            SequelaError: The output can't be read, or the results can't be written.
        """
        if not outcome.has_output or self._finished:
            return
        address = outcome.task.key
        for payload in self._payloads[address]:
            if isinstance(payload, EditTask):
                self._collect_edits(Address.parse(address), payload)
            elif isinstance(payload, MeasureTask):
                self._collect_measurement(Address.parse(address), payload)
            elif isinstance(payload, OfModel) and outcome.task.kind == TaskKind.MEASURE_UNEDITED.value:
                self._collect_unedited(Address.parse(address), payload)
            elif isinstance(payload, OfModel) and outcome.task.kind == TaskKind.MONITOR_UNEDITED.value:
                self._collect_unedited_health(Address.parse(address), self._models[payload.model])
            elif isinstance(payload, OfModel) and outcome.task.kind == TaskKind.PREPARE.value:
                self._collect_preparation(outcome, payload)

    # The unedited model

    def _collect_unedited(self, address: Address, payload: OfModel) -> None:
        model, plan = self._models[payload.model], self._log.plan
        measured = self._outputs.read_measured(address)
        results, items = measured.results, measured.items
        facts, baselines = model.facts.unedited, list(model.baselines.values())
        if payload.suite == EDIT_QUALITY:
            sample = payload.edit_sample
            facts, baselines = model.facts.unedited_quality[sample], [model.baselines[sample]]
            items = tuple(with_known_before(items, known_before_all(items, plan.samples[sample])))
            results = tuple(task_results(items, is_unedited=True))
        key = EvaluationKey(
            trajectory=facts.key,
            n_edits=0,
            suite=payload.suite,
            suite_version=plan.version_of(payload.suite, payload.edit_sample),
            model_hash=measured.model_hash,
        )
        self._keep(key, model, facts.labels, "unedited model", measured, results, items)
        store = self._log.store
        for baseline in baselines:
            baseline.remember(store.measurements(key=key), store.items(key))

    def _collect_unedited_health(self, address: Address, model: _Model) -> None:
        health = self._outputs.read_health(address)
        model.health = health.metrics
        results = health_results(health.metrics)
        model.health_baseline = Baseline({one.series: one.value for one in results})
        unedited = model.facts.unedited
        self._keep_health(unedited.key, unedited.labels, health, results, model)

    def _collect_preparation(self, outcome: Outcome, payload: OfModel) -> None:
        facts, prepared = self._models[payload.model].first_trajectory(payload.method), outcome.result
        if outcome.seconds:
            cost = CostRecord(
                step="statistics and contexts",
                seconds=outcome.seconds,
                peak_memory_bytes=prepared.peak_memory_bytes
                if isinstance(prepared, PreparedMethod)
                else None,
                **_method(facts.labels),
            )
            self._log.store.write_cost(cost)

    # Trajectories

    def _collect_edits(self, address: Address, task: EditTask) -> None:
        facts, store = self._facts(task.to), self._log.store
        log, success = self._outputs.read_log(address)
        edits = self._log.plan.samples[task.to.edit_sample].shuffled(task.to.order_seed)
        known = self._models[task.to.model].baselines[task.to.edit_sample].known
        records = list(_records(facts, edits, log, with_known_before(success, known)))
        new = [one for one in records if one.position > task.start]
        if not {one.position for one in new} <= {one.position for one in store.edit_records(facts.key)}:
            # Costs come first: if the run ends here, the records are missing and both are written again.
            store.discard_costs("edit", facts.key, after=task.start)
            store.write_cost(*(_cost_of_batch(one, facts) for one in log.batches if one.n_edits > task.start))
            store.write_edit_records(new)
        model = self._models[task.to.model]
        for health in log.health:
            if health.n_edits > task.start:
                self._collect_health(health, facts, model)
        keep_checkpoint(self._log.folder, self._outputs.store.fetch(address), facts.key, log.n_edits)
        if log.stopped and facts.key not in self._ended:
            self._ended.add(facts.key)
            self._end_early(facts, task.to, log)

    def _collect_health(self, health: Health, facts: TrajectoryFacts, model: _Model) -> None:
        settings = self._log.plan.study.alarms
        rules = triggered((*settings.stop_when, *settings.mark_when), health.metrics, model.health)
        results = health_results(health.metrics, health_note(rules))
        labels = facts.labels.model_copy(update={"n_edits": health.n_edits})
        self._keep_health(facts.key, labels, health, results, model)

    def _collect_measurement(self, address: Address, task: MeasureTask) -> None:
        facts, store, at = self._facts(task.at), self._log.store, task.at
        model, measured = self._models[at.model], self._outputs.read_measured(address)
        results, items = measured.results, measured.items
        if task.suite == EDIT_QUALITY:
            records = [one for one in store.edit_records(facts.key) if one.position <= at.n_edits]
            success = (item for one in records for item in one.success)
            retention = with_known_before(items, model.baselines[at.edit_sample].known)
            dropped = {one.edit_id: one.dropped for one in records}
            items = tuple(with_dropped([*success, *retention], dropped))
            results = tuple(task_results(items, _notes_of(records)))
        key = EvaluationKey(
            trajectory=facts.key,
            n_edits=at.n_edits,
            suite=task.suite,
            suite_version=self._log.plan.version_of(task.suite, at.edit_sample),
            model_hash=measured.model_hash,
        )
        labels = facts.labels.model_copy(update={"n_edits": at.n_edits})
        position = f"{facts.label}, {number_of('edit', at.n_edits)}"
        self._keep(key, model, labels, position, measured, results, items)

    def _end_early(self, facts: TrajectoryFacts, to: Position, log: TrajectoryLog) -> None:
        """Records that a trajectory ends early, and adjusts the number of planned evaluations."""
        plan, manifest = self._log.plan, self._log.manifest
        left = [n for n in plan.study.checkpoints if n > log.n_edits]
        unmonitored = sum(n > log.n_edits for n in plan.study.monitors_due(facts.batch_size))
        end = EarlyEnd(
            model=to.model,
            method=facts.label,
            edit_sample=to.edit_sample,
            order_seed=to.order_seed,
            n_edits=log.n_edits,
            reason=log.stopped,
            n_unmeasured=len(left) * (len(plan.suites) + 1) + unmonitored,
            not_reached=tuple(left),
        )
        self._log.progress.say(end.note)
        self._log.update(manifest.with_early_end(end))

    # Writing

    def _keep(
        self,
        key: EvaluationKey,
        model: _Model,
        labels: Labels,
        position: str,
        measured: Measured,
        results: Sequence[TaskResult],
        items: Sequence[ItemRecord],
    ) -> None:
        """Stores an evaluation unless it is stored already, and reports its headline numbers."""
        log = self._log
        if log.store.has(key):
            return
        values = measurements(results, labels, model.baseline_of(labels))
        log.store.write_evaluation(key, values, items, [_cost_of_measuring(key, labels, measured)])
        if description := headline(results):
            log.progress.say(f"{log.label(labels.model, position, key.suite)}: {description}")

    def _keep_health(
        self, trajectory: str, labels: Labels, health: Health, results: Sequence[TaskResult], model: _Model
    ) -> None:
        """Stores health metrics unless they are stored already."""
        key = EvaluationKey(
            trajectory=trajectory,
            n_edits=health.n_edits,
            suite=ALARMS,
            suite_version=model.facts.monitor,
            model_hash=health.model_hash,
        )
        if not self._log.store.has(key):
            costs = [_cost_of_measuring(key, labels, health)] if health.n_edits else []
            values = measurements(results, labels, model.health_baseline)
            self._log.store.write_evaluation(key, values, costs=costs)

    def _facts(self, at: Position) -> TrajectoryFacts:
        return self._models[at.model].facts.trajectories[at.trajectory]


class _Model:
    """A model of the study as the main process knows it."""

    def __init__(self, facts: LoadedModel) -> None:
        self.facts = facts
        self.baselines: Mapping[int | None, Baseline] = {one: Baseline() for one in facts.unedited_quality}
        self.health: Mapping[str, float] = {}
        self.health_baseline = Baseline()

    def first_trajectory(self, method: int | None) -> TrajectoryFacts:
        return next(facts for (number, *_), facts in self.facts.trajectories.items() if number == method)

    def baseline_of(self, labels: Labels) -> Baseline:
        """Returns what results are compared with; those of the unedited model are compared with nothing."""
        return Baseline() if labels.editor == UNEDITED else self.baselines[labels.edit_sample]


def _records(
    facts: TrajectoryFacts, edits: EditSet, log: TrajectoryLog, success: Iterable[ItemRecord]
) -> Iterator[EditRecord]:
    """Yields the record of each edit of a trajectory, in order."""
    labels = facts.labels
    measured: dict[str, list[ItemRecord]] = defaultdict(list)
    for item in success:
        measured[item.item].append(item)
    position = 0
    for number, batch in enumerate(log.batches, start=1):
        for report in batch.reports:
            edit = edits[position]
            position += 1
            yield EditRecord(
                **report.model_dump(),
                trajectory=facts.key,
                model=labels.model,
                editor=labels.editor,
                variant=labels.variant,
                edit_source=labels.edit_source,
                order_seed=labels.order_seed,
                edit_sample=labels.edit_sample,
                position=position,
                batch=number,
                prompt=edit.question,
                target_new=edit.target_new,
                target_true=edit.target_true,
                seconds=batch.seconds / len(batch.reports),
                success=tuple(measured[edit.id]),
            )


def _notes_of(records: Sequence[EditRecord]) -> dict[str, str]:
    """Returns notes on bad edits for the tasks `success@edit` and `retention@n`."""
    warned = [record for record in records if record.warning]
    if not warned:
        return {}
    first = warned[0]
    note = (
        f"{len(warned)} of {len(records)} edits are bad (first: edit {first.position}, {first.edit_id}, "
        f"{first.warning})"
    )
    return {SUCCESS_AT_EDIT: note, RETENTION_AT_N: note}


def _cost_of_batch(batch: Batch, facts: TrajectoryFacts) -> CostRecord:
    return CostRecord(
        step="edit",
        seconds=batch.seconds,
        units=len(batch.reports),
        peak_memory_bytes=batch.peak_memory_bytes,
        trajectory=facts.key,
        edit_sample=facts.labels.edit_sample,
        n_edits=batch.n_edits,
        **_method(facts.labels),
    )


def _cost_of_measuring(key: EvaluationKey, labels: Labels, taken: Measured | Health) -> CostRecord:
    return CostRecord(
        step="evaluate",
        seconds=taken.seconds,
        peak_memory_bytes=taken.peak_memory_bytes,
        trajectory=key.trajectory,
        edit_sample=labels.edit_sample,
        n_edits=key.n_edits,
        suite=key.suite,
        **_method(labels),
    )


def _method(labels: Labels) -> dict[str, str]:
    """Returns the model and the method of a cost."""
    return {"model": labels.model, "editor": labels.editor, "variant": labels.variant}
