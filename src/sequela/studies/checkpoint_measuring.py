"""Measurements at each checkpoint and on the unedited model: edit quality, and every suite of the study.

An evaluation that is stored already is not repeated.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from sequela.core.hashing import hash_json
from sequela.core.wording import number_of
from sequela.edited import EditedModel
from sequela.edited.chat_template import ChatTemplate, template_labels
from sequela.editors.session import Snapshot
from sequela.edits import Edit, EditsInForce
from sequela.evaluation.edit_quality.known_before import known_before_all, with_known_before
from sequela.evaluation.edit_quality.measure import (
    RETENTION_AT_N,
    SUCCESS_AT_EDIT,
    Answers,
    measure_edits,
    neighborhood_answers,
    task_results,
)
from sequela.evaluation.edit_quality.text_quality import Texts, measure_texts, reference_texts
from sequela.evaluation.hit_rate import evaluate_counting
from sequela.evaluation.suite import Suite
from sequela.inference import Engine
from sequela.models import LanguageModel
from sequela.results import (
    EDIT_QUALITY,
    UNEDITED,
    EditRecord,
    EvaluationKey,
    ItemRecord,
    Labels,
    TaskResult,
    with_dropped,
)
from sequela.studies.baseline import Baseline, measurements
from sequela.studies.headline import headline
from sequela.studies.monitor_log import MonitorLog
from sequela.studies.pieces import (
    Evaluation,
    Measure,
    answering,
    evaluating,
    measuring_edits,
    reading_alarms,
    suite_tokens,
)
from sequela.studies.run_log import RunLog
from sequela.studies.trajectory import Trajectory


@dataclass(frozen=True)
class Unedited:
    """The unedited model's output, for comparison with the edited model's.

    Args:
        answers: Answers to neighborhood prompts.
        texts: Texts about entities for which the new answers are true.
    """

    answers: Answers
    texts: Texts


@dataclass
class CheckpointMeasuring:
    """The measurements of one model of a study, at all checkpoints of its trajectories.

    Args:
        log: The records of the run.
        model: The model.
        engine: The engine that runs requests.
        monitor_log: The health metrics of the model's trajectories.
        routers: The chat template of evaluation prompts, if the study has one.
    """

    log: RunLog
    model: LanguageModel
    engine: Engine
    monitor_log: MonitorLog
    routers: tuple[ChatTemplate, ...] = ()
    _baseline: Baseline = field(default_factory=Baseline, init=False)

    def answers_before(self) -> Unedited:
        """Returns the unedited model's output with which the edits at all checkpoints are compared."""
        log, edits, settings = self.log, self.log.plan.edits, self.log.plan.study.edit_quality
        edited = EditedModel(self.model, routers=self.routers)
        log.progress.say(f"{self.model.name}: asking the unedited model for reference answers")
        label = log.label(self.model, "unedited model", "reference answers")
        with log.workload.doing(answering(self.model.name, len(edits)), label):
            return Unedited(
                neighborhood_answers(edited, self.engine, edits, settings, log.progress),
                reference_texts(edited, self.engine, edits, settings, log.progress),
            )

    def measure_unedited(self, before: Unedited | None = None) -> None:
        """Measures the unedited model, on the edits of all checkpoints; the results are the baseline.

        Args:
            before: The unedited model's output. If given, edit quality and slow suites are measured; if None,
                quick suites.
        """
        plan, model = self.log.plan, self.model
        edited = EditedModel(model, routers=self.routers)
        trajectory = hash_json({"model": model.fingerprint, "edits": plan.edits.content_hash})
        labels = Labels(
            model=model.name,
            editor=UNEDITED,
            variant="",
            edit_source=plan.edits.name,
            order_seed=plan.study.order_seeds[0],
            n_edits=0,
            **template_labels(self.routers),
        )

        def edit_quality(before: Unedited) -> tuple[list[TaskResult], list[ItemRecord]]:
            items = self._retention(edited, plan.edits, before)
            items = with_known_before(items, known_before_all(items, plan.edits))
            return task_results(items, is_unedited=True), items

        evaluations = [one for one in self._suites(edited) if one.is_quick == (before is None)]
        if before is not None:
            measure = partial(edit_quality, before)
            evaluations.insert(0, self._edit_quality(len(plan.edits), measure))
        keys = [evaluation.key(trajectory, 0, edited) for evaluation in evaluations]
        if not all(map(self.log.store.has, keys)):
            what = "the edits and slow suites on the unedited model" if before else "the unedited model"
            self.log.progress.say(f"{model.name}: measuring {what}")
        for evaluation, key in zip(evaluations, keys, strict=True):
            self._evaluate(evaluation, key, labels, "unedited model")
            self._baseline.remember(self.log.store.measurements(key=key), self.log.store.items(key))
        if before is not None and plan.study.alarms.every:
            label = self.log.label(model, "unedited model", "health metrics")
            with self.log.workload.doing(reading_alarms(model.name), label):
                self.monitor_log.store_unedited(trajectory, labels, EditedModel(model))

    def measure_checkpoint(self, trajectory: Trajectory, at: Snapshot, before: Unedited) -> None:
        """Measures a trajectory at a checkpoint.

        Args:
            trajectory: The trajectory.
            at: The snapshot at the checkpoint.
            before: The unedited model's output.
        """
        edited = trajectory.session.edited(at, self.routers)
        labels = trajectory.labels(at.n_edits)
        applied = trajectory.edits[: at.n_edits]
        ids = {edit.id for edit in applied}

        def edit_quality() -> tuple[list[TaskResult], list[ItemRecord]]:
            records = [one for one in self.log.store.edit_records(trajectory.key) if one.edit_id in ids]
            dropped = frozenset(one.edit_id for one in records if one.dropped)
            in_force = EditsInForce(trajectory.questions, at.n_edits, dropped)
            retention = self.with_known_before(self._retention(edited, applied, before, in_force))
            success = [item for record in records for item in record.success]
            items = with_dropped([*success, *retention], {one.edit_id: one.dropped for one in records})
            return task_results(items, _notes_of(records)), items

        count = number_of("edit", at.n_edits)
        self.log.progress.say(f"{labels.model}, {trajectory.label}: measuring after {count}")
        first = self._edit_quality(at.n_edits, edit_quality)
        for evaluation in (first, *self._suites(edited)):
            key = evaluation.key(trajectory.key, at.n_edits, edited)
            self._evaluate(evaluation, key, labels, f"{trajectory.label}, {count}")

    def with_known_before(self, items: Sequence[ItemRecord]) -> list[ItemRecord]:
        """Returns records of edits with what the unedited model answered, which was measured before."""
        return with_known_before(items, self._baseline.known)

    def _retention(
        self,
        edited: EditedModel,
        edits: Sequence[Edit],
        before: Unedited,
        in_force: EditsInForce | None = None,
    ) -> list[ItemRecord]:
        """Measures the retention of edits on a model, and the quality of its texts about their subjects."""
        settings, engine, progress = self.log.plan.study.edit_quality, self.engine, self.log.progress
        task, answers, texts = RETENTION_AT_N, before.answers, before.texts
        kept = [one for one in edits if in_force is None or in_force.superseding(one) is None]
        return [
            *measure_edits(edited, engine, edits, task, settings, answers, progress, in_force),
            *measure_texts(edited, engine, kept, task, settings, texts, progress),
        ]

    def _edit_quality(self, n_edits: int, measure: Measure) -> Evaluation:
        piece = measuring_edits(self.model.name, n_edits)
        return Evaluation(EDIT_QUALITY, self.log.plan.edit_quality_version, piece, measure)

    def _suites(self, edited: EditedModel) -> list[Evaluation]:
        """Returns the evaluations of the study's suites on a model."""

        def measured(suite: Suite) -> tuple[list[TaskResult], list[ItemRecord]]:
            results = evaluate_counting(suite, edited, self.engine, self.log.progress)
            return results, [item for result in results for item in result.items]

        name = self.model.name
        return [
            Evaluation(
                suite.name,
                suite.version,
                evaluating(name, suite.name, suite_tokens(suite)),
                partial(measured, suite),
            )
            for suite in self.log.plan.suites
        ]

    def _evaluate(self, evaluation: Evaluation, key: EvaluationKey, labels: Labels, position: str) -> None:
        """Runs and stores an evaluation, and logs its headline numbers; a stored evaluation is skipped.

        Args:
            evaluation: The evaluation.
            key: The key under which it is stored.
            labels: The labels of its measurements.
            position: The checkpoint, in words.
        """
        log = self.log
        if log.store.has(key):
            log.workload.skip(evaluation.piece)
            return
        started = time.perf_counter()
        label = log.label(self.model, position, evaluation.suite)
        with log.workload.doing(evaluation.piece, label):
            results, items = evaluation.measure()
            log.store.write_evaluation(key, measurements(results, labels, self._baseline), items)
        log.cost("evaluate", started, labels, key.trajectory, key.n_edits, key.suite)
        if description := headline(results):
            log.progress.say(f"{label}: {description}")


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
