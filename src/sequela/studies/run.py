"""Execution of a study: every trajectory up to its last checkpoint, and every suite at every checkpoint.

Finished work is stored immediately. A run that is interrupted, by Ctrl-C or a power cut, resumes from its
last checkpoint and repeats no measurement.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from safetensors import SafetensorError

from sequela.core.errors import SequelaError
from sequela.core.hashing import hash_json
from sequela.core.paths import cache_folder, ensure_writable
from sequela.core.precision import Precision, choose_precision
from sequela.core.progress import SILENT, Progress, watched
from sequela.core.workload import Workload
from sequela.edited import EditedModel
from sequela.edited.chat_template import ChatTemplate
from sequela.editors.session import EditSession, Snapshot
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
from sequela.evaluation.monitor_rules import is_due, triggered
from sequela.evaluation.monitors import HealthMonitor
from sequela.evaluation.suite import Suite
from sequela.inference import Engine, open_engine
from sequela.models import LanguageModel, load_model
from sequela.models.loading import choose_device
from sequela.results import (
    ALARMS,
    EDIT_QUALITY,
    UNEDITED,
    CostRecord,
    EditRecord,
    EvaluationKey,
    ItemRecord,
    KnownBefore,
    Labels,
    Manifest,
    ResultsStore,
    Status,
    TaskResult,
    collect_environment,
    open_store,
    read_manifest,
    write_manifest,
)
from sequela.studies.baseline import Baseline, measurements
from sequela.studies.checkpoints import (
    Checkpoint,
    checkpoint_folder,
    load_checkpoint,
    ranks_of,
    save_checkpoint,
)
from sequela.studies.headline import headline
from sequela.studies.monitor_log import HealthMetrics, MonitorLog
from sequela.studies.peak_memory import peak_memory_bytes
from sequela.studies.pieces import (
    Evaluation,
    Measure,
    answering,
    editing,
    evaluating,
    loading,
    measuring_edits,
    pieces_of,
    preparing,
    reading_alarms,
    suite_tokens,
    trajectory_pieces,
)
from sequela.studies.plan import Plan, make_plan
from sequela.studies.plugins import check_plugins, family_plugin, plugins_of
from sequela.studies.study import Study
from sequela.studies.trajectory import Trajectory

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


def run_study(study: Study, folder: Path, progress: Progress = SILENT, command: str = "") -> RunResult:
    """Runs a study, or resumes an interrupted run.

    Args:
        study: The study.
        folder: The folder for the results; a run of the same study in it is resumed.
        progress: Receives messages and progress.
        command: The user's command, for the manifest.

    Returns:
        The outcome. After Ctrl-C, the status is `stopped`, and all results so far are kept.

    Raises:
        SequelaError: The study can't be run; if possible, this is detected before anything slow starts.
    """
    plan = make_plan(study)
    ensure_writable(folder, SPACE_NEEDED)
    ensure_writable(cache_folder(), SPACE_NEEDED)
    precision = choose_precision(study.dtype, choose_device(study.device))
    if precision.reason:
        progress.say(f"weights in {precision}")
    with open_store(folder, create=True) as store:
        manifest = _opened_manifest(plan, folder, command, precision)
        run = _Run(plan, folder, store, manifest, progress, precision)
        try:
            run.run_all_models()
            run.finish(Status.COMPLETE)
        except KeyboardInterrupt:
            run.finish(Status.STOPPED)
        except BaseException as error:
            with suppress(OSError):  # a full disk must not hide the original error
                run.finish(Status.FAILED, str(error) or type(error).__name__)
            if isinstance(error, OSError | SafetensorError):
                raise SequelaError(
                    f"The run in {folder} failed: {error}",
                    hint="Check the space on the disk. Results are kept; the same command resumes the run.",
                ) from error
            raise
        planned = run.manifest.evaluations_planned
        return RunResult(folder, run.manifest.status, store.count_evaluations(), planned)


def _opened_manifest(plan: Plan, folder: Path, command: str, precision: Precision) -> Manifest:
    """Writes and returns the manifest of a new or resumed run.

    Raises:
        SequelaError: The folder has a run of another study.
    """
    config = plan.study.model_dump(mode="json")
    config["dtype"] = precision.name
    for editor_config, (_, editor) in zip(config["editors"], plan.editors, strict=True):
        # With defaults filled in, so that a version with other defaults doesn't resume this run.
        editor_config["settings"] = editor.settings
    manifest = Manifest(
        name=plan.study.name,
        evaluations_planned=plan.n_evaluations,
        environment=collect_environment(str(choose_device(plan.study.device)), str(precision)),
        config=config,
        given=plan.study.model_dump(mode="json"),
        edit_set_hashes={plan.edits.name: plan.edits.content_hash},
        suite_versions=plan.suite_versions(),
        suite_infos=plan.suite_infos(),
        plugins=plugins_of(plan.study),
        seeds={"order": list(plan.study.order_seeds), "editors": [plan.study.seed]},
        command=command,
        notes=tuple(plan.notes()),
    )
    if (folder / "manifest.json").is_file():
        earlier = read_manifest(folder)
        check_plugins(earlier)
        if _result_determining_fields(earlier) != _result_determining_fields(manifest):
            raise SequelaError(
                f"{folder} has the run of another study, or of an earlier version of this one.",
                hint="Choose another folder with --output, or delete that one.",
            )
        manifest = manifest.model_copy(
            update={"started": earlier.started, "model_hashes": earlier.model_hashes}
        ).with_plugins(earlier.plugins)
    write_manifest(folder, manifest)
    return manifest


def _result_determining_fields(manifest: Manifest) -> tuple[object, ...]:
    """Returns the fields that determine the results of a run; the memory limit is not one of them."""
    config = {key: value for key, value in manifest.config.items() if key != "memory"}
    return config, manifest.edit_set_hashes, manifest.suite_versions


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
class _Run:
    plan: Plan
    folder: Path
    store: ResultsStore
    manifest: Manifest
    progress: Progress
    precision: Precision
    engine: Engine = field(init=False)
    monitor_log: MonitorLog = field(init=False)
    workload: Workload = field(init=False)
    routers: tuple[ChatTemplate, ...] = ()

    def finish(self, status: Status, error: str = "") -> None:
        self.manifest = self.manifest.finish(status, error)
        write_manifest(self.folder, self.manifest)

    def run_all_models(self) -> None:
        self.workload = Workload(f"study {self.plan.study.name}", pieces_of(self.plan))
        with watched(self.progress, self.workload):
            for name in self.plan.study.models:
                self._run_model(name)

    def _run_model(self, name: str) -> None:
        study = self.plan.study
        with self.workload.doing(loading(name), f"loading {name}"):
            model = self._load(name)
        self.routers = (ChatTemplate.of(model),) if study.evaluation_template == "chat" else ()
        sessions = self.plan.sessions(model, self.progress)
        expected = frozenset(session.editor.lowest_block(model) for session in sessions)
        with open_engine(study.engine, model, study.memory, expected, self.progress) as self.engine:
            self.monitor_log = MonitorLog(HealthMonitor(model, self.engine), self.store)
            self._run_trajectories(model, sessions)

    def _run_trajectories(self, model: LanguageModel, sessions: Sequence[EditSession]) -> None:
        trajectories = self.plan.trajectories(sessions)
        baseline = Baseline()
        # Quick suites give early numbers. Then the editors prepare, so that unusable settings are reported
        # before slow measurements. All shuffle seeds share a session and its prepared editor.
        self._measure_unedited(model, baseline)
        for first in trajectories[:: len(self.plan.study.order_seeds)]:
            self._prepare(first)
        before = self._answers_before(model)
        self._measure_unedited(model, baseline, before)
        for trajectory in trajectories:
            self._run_trajectory(trajectory, baseline, before)

    def _load(self, name: str) -> LanguageModel:
        """Loads a model and records its fingerprint in the manifest.

        Raises:
            SequelaError: Its results would be mixed with those of another model.
        """
        self.progress.say(f"loading {name}")
        started = time.perf_counter()
        model = load_model(
            name, device=self.plan.study.device, dtype=self.precision.name, progress=self.progress
        )
        self._cost("load model", started, model=model.name)
        known = self.manifest.model_hashes
        if known.get(name, model.fingerprint) != model.fingerprint:
            raise SequelaError(
                f"{name!r} is no longer the model with which the run in {self.folder} started: its "
                f"fingerprint was {known[name]} and is now {model.fingerprint}.",
                hint="Choose another folder with --output.",
            )
        twins = [other for other, fingerprint in known.items() if fingerprint == model.fingerprint]
        if any(other != name for other in twins):
            raise SequelaError(
                f"{name!r} and {twins[0]!r} are the same model.", hint="Remove one of them from the study."
            )
        hashes = {**known, name: model.fingerprint}
        findings = {**self.manifest.edit_findings, name: self.plan.findings(model)}
        for one in findings[name]:
            self.progress.say(f"{self.plan.edits.name}: {one.title}: {one.count:,} of {one.of:,}")
        self.manifest = self.manifest.model_copy(update={"model_hashes": hashes, "edit_findings": findings})
        self.manifest = self.manifest.with_plugins(family_plugin(model.family))
        write_manifest(self.folder, self.manifest)
        return model

    def _prepare(self, trajectory: Trajectory) -> None:
        started = time.perf_counter()
        session, model = trajectory.session, trajectory.session.model
        label = self._label(model, trajectory.label, "statistics and contexts")
        with self.workload.doing(preparing(model.name, session.editor.name), label):
            session.start()
        self._cost("statistics and contexts", started, trajectory.labels(0))

    def _answers_before(self, model: LanguageModel) -> Unedited:
        """Returns the unedited model's output with which the edits at all checkpoints are compared."""
        edits, settings = self.plan.edits, self.plan.study.edit_quality
        edited = EditedModel(model, routers=self.routers)
        self.progress.say(f"{model.name}: measuring the unedited model")
        label = self._label(model, "unedited model", "reference answers")
        with self.workload.doing(answering(model.name, len(edits)), label):
            return Unedited(
                neighborhood_answers(edited, self.engine, edits, settings, self.progress),
                reference_texts(edited, self.engine, edits, settings, self.progress),
            )

    def _measure_unedited(
        self, model: LanguageModel, baseline: Baseline, before: Unedited | None = None
    ) -> None:
        """Measures the unedited model, on the edits of all checkpoints.

        Args:
            model: The model.
            baseline: The baseline, to which the results are added.
            before: The unedited model's output. If given, edit quality and slow suites are measured; if None,
                quick suites.
        """
        edited = EditedModel(model, routers=self.routers)
        trajectory = hash_json({"model": model.fingerprint, "edits": self.plan.edits.content_hash})
        labels = Labels(
            model=model.name,
            editor=UNEDITED,
            variant="",
            edit_source=self.plan.edits.name,
            order_seed=self.plan.study.order_seeds[0],
            n_edits=0,
            template=self.plan.study.evaluation_template,
        )

        def edit_quality(before: Unedited) -> tuple[list[TaskResult], list[ItemRecord]]:
            items = self._retention(edited, self.plan.edits, before)
            items = with_known_before(items, known_before_all(items, self.plan.edits))
            return task_results(items), items

        evaluations = [one for one in self._suites(edited) if one.is_quick == (before is None)]
        if before is not None:
            measure = partial(edit_quality, before)
            evaluations.insert(0, self._edit_quality(model, len(self.plan.edits), measure))
        for evaluation in evaluations:
            key = evaluation.key(trajectory, 0, edited)
            self._evaluate(evaluation, key, labels, baseline, model, "unedited model")
            baseline.remember(self.store.measurements(key=key), self.store.items(key))
        if before is not None and self.plan.study.alarms.every:
            label = self._label(model, "unedited model", "health metrics")
            with self.workload.doing(reading_alarms(model.name), label):
                self.monitor_log.store_unedited(trajectory, labels, EditedModel(model))

    def _run_trajectory(self, trajectory: Trajectory, baseline: Baseline, before: Unedited) -> None:
        """Runs a trajectory from checkpoint to checkpoint; stored checkpoints are not repeated."""
        session = trajectory.session
        at = Checkpoint.of(session.start())
        for n_edits in self.plan.study.checkpoints[1:]:
            folder = checkpoint_folder(self.folder, trajectory.key, n_edits)
            stored = load_checkpoint(folder, n_edits, session.model, session.editor)
            if stored is not None:
                for edits in session.batches(trajectory.edits[:n_edits], at.n_edits):
                    self.workload.skip(editing(session.model.name, session.editor.name, len(edits)))
                for due in self.plan.study.monitors_due(session.batch_size):
                    if at.n_edits < due <= n_edits:
                        self.workload.skip(reading_alarms(session.model.name))
                at = stored
            else:
                at, stopped = self._edit_up_to(trajectory, at, n_edits, before.answers, baseline.known)
                if at.n_edits:
                    folder = checkpoint_folder(self.folder, trajectory.key, at.n_edits)
                    ids = tuple(edit.id for edit in trajectory.edits[: at.n_edits])
                    save_checkpoint(folder, at, session.model, session.editor, ids)
                if stopped:
                    self._end_early(trajectory, at.n_edits, stopped)
                    return
            self._measure_checkpoint(trajectory, at, baseline, before)

    def _edit_up_to(
        self,
        trajectory: Trajectory,
        at: Checkpoint,
        n_edits: int,
        answers: Answers,
        known: Mapping[str, KnownBefore],
    ) -> tuple[Checkpoint, str]:
        """Applies edits up to `n_edits`; returns the checkpoint reached and the reason for an early stop."""
        session, settings = trajectory.session, self.plan.study.edit_quality
        ranks: dict[int, Mapping[str, int]] = {}
        dropped = {record.edit_id for record in self.store.edit_records(trajectory.key) if record.dropped}
        for edits in session.batches(trajectory.edits[:n_edits], at.n_edits):
            applied = at.n_edits + len(edits)
            position = f"{trajectory.label}: edit {applied} of {self.plan.study.n_edits}"
            self.progress.say(f"{session.model.name}, {position}")
            piece = editing(session.model.name, session.editor.name, len(edits))
            with self.workload.doing(piece, self._label(session.model, position)):
                result = session.apply_batch(edits, at)
                edited = session.edited(result, self.routers)
                dropped |= {report.edit_id for report in result.reports if report.dropped}
                in_force = EditsInForce(trajectory.questions, applied, frozenset(dropped))
                items = measure_edits(
                    edited, self.engine, edits, SUCCESS_AT_EDIT, settings, answers, in_force=in_force
                )
                items = with_known_before(items, known)
            self.store.write_edit_records(trajectory.records(result, items))
            self.store.write_cost(
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
            if is_due(before, applied, self.plan.study.alarms.every):
                label = self._label(session.model, f"{trajectory.label}, {_edits(applied)}, health metrics")
                with self.workload.doing(reading_alarms(session.model.name), label):
                    triggered_rules = self._check_monitors(trajectory, at)
                if triggered_rules:
                    return at, f"triggered health rule {', '.join(triggered_rules)}"
        return at, ""

    def _check_monitors(self, trajectory: Trajectory, at: Snapshot) -> list[str]:
        """Measures and stores the health metrics; returns the triggered rules that end the trajectory."""
        settings, unedited = self.plan.study.alarms, self.monitor_log.unedited
        started = time.perf_counter()

        def note(metrics: HealthMetrics) -> str:
            rules = triggered((*settings.stop_when, *settings.mark_when), metrics, unedited)
            return f"triggered health rule {', '.join(rules)}" if rules else ""

        metrics = self.monitor_log.measure(trajectory, at, note)
        labels = trajectory.labels(at.n_edits)
        if message := note(metrics):
            self.progress.say(f"{labels.model}, {trajectory.label}, {_edits(at.n_edits)}: {message}")
        self._cost("evaluate", started, labels, trajectory.key, at.n_edits, ALARMS)
        return triggered(settings.stop_when, metrics, unedited)

    def _end_early(self, trajectory: Trajectory, n_edits: int, reason: str) -> None:
        """Records that a trajectory ends early, and adjusts the number of planned evaluations."""
        model, editor = trajectory.session.model.name, trajectory.session.editor.name
        batch_size = trajectory.session.batch_size
        left = [n for n in self.plan.study.checkpoints if n > n_edits]
        unmonitored = sum(n > n_edits for n in self.plan.study.monitors_due(batch_size))
        unmeasured = len(left) * (len(self.plan.suites) + 1) + unmonitored
        note = (
            f"{model}, {trajectory.label}, shuffle seed {trajectory.order_seed}: stopped after "
            f"{_edits(n_edits)}: {reason}. Checkpoints not reached: {', '.join(map(str, left))}."
        )
        self.progress.say(note)
        for piece in trajectory_pieces(self.plan, model, editor, batch_size, after=n_edits):
            self.workload.skip(piece)
        planned = self.manifest.evaluations_planned - unmeasured
        notes = (*self.manifest.notes, note)
        self.manifest = self.manifest.model_copy(update={"evaluations_planned": planned, "notes": notes})
        write_manifest(self.folder, self.manifest)

    def _measure_checkpoint(
        self, trajectory: Trajectory, at: Snapshot, baseline: Baseline, before: Unedited
    ) -> None:
        edited = trajectory.session.edited(at, self.routers)
        labels = trajectory.labels(at.n_edits)
        applied = trajectory.edits[: at.n_edits]
        ids = {edit.id for edit in applied}

        def edit_quality() -> tuple[list[TaskResult], list[ItemRecord]]:
            records = [one for one in self.store.edit_records(trajectory.key) if one.edit_id in ids]
            dropped = frozenset(one.edit_id for one in records if one.dropped)
            in_force = EditsInForce(trajectory.questions, at.n_edits, dropped)
            retention = self._retention(edited, applied, before, in_force)
            retention = with_known_before(retention, baseline.known)
            items = [*(item for record in records for item in record.success), *retention]
            return task_results(items, _notes_of(records)), items

        position = f"{trajectory.label}, {_edits(at.n_edits)}"
        self.progress.say(f"{labels.model}, {trajectory.label}: measuring after {_edits(at.n_edits)}")
        first = self._edit_quality(edited.base, at.n_edits, edit_quality)
        for evaluation in (first, *self._suites(edited)):
            key = evaluation.key(trajectory.key, at.n_edits, edited)
            self._evaluate(evaluation, key, labels, baseline, edited.base, position)

    def _retention(
        self,
        edited: EditedModel,
        edits: Sequence[Edit],
        before: Unedited,
        in_force: EditsInForce | None = None,
    ) -> list[ItemRecord]:
        """Measures the retention of edits on a model, and the quality of its texts about their subjects."""
        settings, engine, task = self.plan.study.edit_quality, self.engine, RETENTION_AT_N
        kept = [one for one in edits if in_force is None or in_force.superseding(one) is None]
        return [
            *measure_edits(edited, engine, edits, task, settings, before.answers, self.progress, in_force),
            *measure_texts(edited, engine, kept, task, settings, before.texts, self.progress),
        ]

    def _edit_quality(self, model: LanguageModel, n_edits: int, measure: Measure) -> Evaluation:
        piece = measuring_edits(model.name, n_edits)
        return Evaluation(EDIT_QUALITY, self.plan.edit_quality_version, piece, measure)

    def _suites(self, edited: EditedModel) -> list[Evaluation]:
        """Returns the evaluations of the study's suites on a model."""

        def measured(suite: Suite) -> tuple[list[TaskResult], list[ItemRecord]]:
            results = evaluate_counting(suite, edited, self.engine, self.progress)
            return results, [item for result in results for item in result.items]

        name = edited.base.name
        return [
            Evaluation(
                suite.name,
                suite.version,
                evaluating(name, suite.name, suite_tokens(suite)),
                partial(measured, suite),
            )
            for suite in self.plan.suites
        ]

    def _evaluate(
        self,
        evaluation: Evaluation,
        key: EvaluationKey,
        labels: Labels,
        baseline: Baseline,
        model: LanguageModel,
        position: str,
    ) -> None:
        """Runs and stores an evaluation, and logs its headline numbers; a stored evaluation is skipped.

        Args:
            evaluation: The evaluation.
            key: The key under which it is stored.
            labels: The labels of its measurements.
            baseline: The baseline of its measurements.
            model: The base model.
            position: The checkpoint, in words.
        """
        if self.store.has(key):
            self.workload.skip(evaluation.piece)
            return
        started = time.perf_counter()
        label = self._label(model, position, evaluation.suite)
        with self.workload.doing(evaluation.piece, label):
            results, items = evaluation.measure()
            self.store.write_evaluation(key, measurements(results, labels, baseline), items)
        self._cost("evaluate", started, labels, key.trajectory, key.n_edits, key.suite)
        if description := headline(results):
            self.progress.say(f"{label}: {description}")

    def _label(self, model: LanguageModel, *parts: str) -> str:
        """Returns a progress label; it includes the model's name if the study has several models."""
        several = len(self.plan.study.models) > 1
        return ", ".join((model.name, *parts) if several else parts)

    def _cost(
        self,
        step: str,
        started: float,
        labels: Labels | None = None,
        trajectory: str = "",
        n_edits: int | None = None,
        suite: str = "",
        model: str = "",
    ) -> None:
        """Stores the cost of a step that ends now, with the method and variant of the labels."""
        self.store.write_cost(
            CostRecord(
                step=step,
                seconds=time.perf_counter() - started,
                peak_memory_bytes=peak_memory_bytes(),
                trajectory=trajectory,
                model=model if labels is None else labels.model,
                editor="" if labels is None else labels.editor,
                variant="" if labels is None else labels.variant,
                n_edits=n_edits,
                suite=suite,
            )
        )


def _edits(n_edits: int) -> str:
    return "1 edit" if n_edits == 1 else f"{n_edits} edits"


def _notes_of(records: Sequence[EditRecord]) -> dict[str, str]:
    """Returns notes on dropped and bad edits for the tasks `success@edit` and `retention@n`."""
    notes = []
    dropped = [record for record in records if record.dropped]
    if dropped:
        notes.append(
            f"{len(dropped)} of {len(records)} edits could not be applied and count as failures "
            f"(first: {dropped[0].edit_id}, {dropped[0].dropped})"
        )
    warned = [record for record in records if record.warning]
    if warned:
        first = warned[0]
        notes.append(
            f"{len(warned)} of {len(records)} edits are bad (first: edit {first.position}, {first.edit_id}, "
            f"{first.warning})"
        )
    note = "; ".join(notes)
    return {SUCCESS_AT_EDIT: note, RETENTION_AT_N: note} if note else {}
