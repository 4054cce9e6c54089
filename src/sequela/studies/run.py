"""Running a study: every trajectory to its last checkpoint, every suite at every checkpoint.

Everything that is finished is on disk at once: a run that is stopped, by Ctrl-C or by
a power cut, goes on from its last checkpoint and measures nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError

from sequela.core.errors import SequelaError
from sequela.core.hashing import hash_json
from sequela.core.paths import cache_folder, ensure_writable
from sequela.core.precision import Precision, choose_precision
from sequela.core.progress import SILENT, Progress
from sequela.edited import Delta, EditedModel
from sequela.edited.chat_template import ChatTemplate
from sequela.editors import AnyEditor, EditorState, Resources
from sequela.editors.presets import with_preset
from sequela.edits import Edit
from sequela.evaluation.edit_quality.measure import (
    RETENTION_AT_N,
    SUCCESS_AT_EDIT,
    Answers,
    findings,
    measure_edits,
    neighborhood_answers,
)
from sequela.evaluation.edit_quality.text_quality import Texts, measure_texts, reference_texts
from sequela.evaluation.hit_rate import evaluate_counting
from sequela.evaluation.monitor_rules import every_so_many, ringing
from sequela.evaluation.monitors import Alarms
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
    Finding,
    ItemRecord,
    Manifest,
    ResultsStore,
    Status,
    collect_environment,
    open_store,
    read_manifest,
    write_manifest,
)
from sequela.statistics import Statistics
from sequela.studies.baseline import Baseline, Labels, measurements
from sequela.studies.checkpoints import (
    Checkpoint,
    checkpoint_folder,
    load_checkpoint,
    ranks_of,
    save_checkpoint,
)
from sequela.studies.monitor_log import AlarmWatch, Readings
from sequela.studies.peak_memory import peak_memory_bytes
from sequela.studies.plan import Plan, check_told_apart, make_plan
from sequela.studies.plugins import check_plugins, family_plugin, plugins_of
from sequela.studies.study import Study
from sequela.studies.trajectory import Trajectory, make_batch

Measure = Callable[[], tuple[list[Finding], list[ItemRecord]]]
"""Runs an evaluation; returns what it found and the items behind it."""

SPACE_NEEDED = 200 * 2**20
"""Free disk space, in bytes, that a run asks for before it starts."""


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Args:
        folder: Where its results are.
        status: Whether it came to its end.
        done: How many evaluations are finished.
        planned: How many the study has.
    """

    folder: Path
    status: Status
    done: int
    planned: int


def run_study(study: Study, folder: Path, progress: Progress = SILENT, command: str = "") -> RunResult:
    """Runs a study, or goes on with it where it was stopped.

    Args:
        study: What to do.
        folder: Where results go; a folder of the same study is continued.
        progress: Who is told.
        command: What the user typed, for the manifest.

    Returns:
        How it ended. Ctrl-C ends it as `stopped`, with everything measured so far kept.

    Raises:
        SequelaError: The study can't be run; told before anything long begins where that can be known.
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
            run.everything()
            run.ended_as(Status.COMPLETE)
        except KeyboardInterrupt:
            run.ended_as(Status.STOPPED)
        except BaseException as error:
            with suppress(OSError):  # a full disk must not hide what went wrong
                run.ended_as(Status.FAILED, str(error) or type(error).__name__)
            if isinstance(error, OSError | SafetensorError):
                raise SequelaError(
                    f"The run in {folder} failed: {error}",
                    hint="Is the disk full? What was measured is kept; the same command goes on from there.",
                ) from error
            raise
        planned = run.manifest.evaluations_planned
        return RunResult(folder, run.manifest.status, store.count_evaluations(), planned)


def _opened_manifest(plan: Plan, folder: Path, command: str, precision: Precision) -> Manifest:
    """The manifest of a run that begins or goes on.

    Raises:
        SequelaError: The folder holds a run of another study.
    """
    config = plan.study.model_dump(mode="json")
    config["dtype"] = precision.name
    for told, (_, editor) in zip(config["editors"], plan.editors, strict=True):
        # With the defaults filled in: a version with other defaults must not go on with this run.
        told["settings"] = editor.settings
    manifest = Manifest(
        name=plan.study.name,
        evaluations_planned=plan.n_evaluations,
        environment=collect_environment(str(choose_device(plan.study.device)), str(precision)),
        config=config,
        given=plan.study.model_dump(mode="json"),
        edit_set_hashes={plan.edits.name: plan.edits.content_hash},
        suite_versions=plan.suite_versions(),
        suite_infos={suite.name: suite.info for suite in plan.suites},
        plugins=plugins_of(plan.study),
        seeds={"order": list(plan.study.order_seeds), "editors": [plan.study.seed]},
        command=command,
        notes=tuple(plan.notes()),
    )
    if (folder / "manifest.json").is_file():
        earlier = read_manifest(folder)
        check_plugins(earlier)
        if _deciding(earlier) != _deciding(manifest):
            raise SequelaError(
                f"{folder} holds the run of another study, or of this one before it was changed.",
                hint="Choose another folder with --output, or delete that one.",
            )
        manifest = manifest.model_copy(
            update={"started": earlier.started, "model_hashes": earlier.model_hashes}
        ).with_plugins(earlier.plugins)
    write_manifest(folder, manifest)
    return manifest


def _deciding(manifest: Manifest) -> tuple[object, ...]:
    """What decides the results of a run; the limit for memory doesn't."""
    config = {key: value for key, value in manifest.config.items() if key != "memory"}
    return config, manifest.edit_set_hashes, manifest.suite_versions


@dataclass(frozen=True)
class Unedited:
    """What the unedited model said, for comparison.

    Args:
        answers: To neighborhood prompts.
        texts: About subjects of which the new answers are true.
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
    watch: AlarmWatch = field(init=False)
    routers: tuple[ChatTemplate, ...] = ()
    overall: int = 0

    def ended_as(self, status: Status, error: str = "") -> None:
        self.manifest = self.manifest.ended_as(status, error)
        write_manifest(self.folder, self.manifest)

    def everything(self) -> None:
        self.overall = self.progress.start(f"study {self.plan.study.name}", self.plan.n_steps)
        with ExitStack() as stack:
            stack.callback(lambda: self.progress.finish(self.overall))
            for name in self.plan.study.models:
                self._one_model(name)

    def _one_model(self, name: str) -> None:
        study = self.plan.study
        model = self._load(name)
        self.routers = (ChatTemplate.of(model),) if study.evaluation_template == "chat" else ()
        editors = [with_preset(editor, model, self.progress) for _, editor in self.plan.editors]
        choices = [choice for choice, _ in self.plan.editors]
        check_told_apart(list(zip(choices, editors, strict=True)), filled_in=True)
        expected = frozenset(editor.lowest_block(model) for editor in editors)
        with open_engine(study.engine, model, study.memory, expected, self.progress) as self.engine:
            self.watch = AlarmWatch(Alarms(model, self.engine), self.store)
            self._all_trajectories(model, editors)

    def _all_trajectories(self, model: LanguageModel, editors: Sequence[AnyEditor]) -> None:
        study = self.plan.study
        statistics = Statistics(model, study.statistics, progress=self.progress)
        resources = Resources(statistics, seed=study.seed, progress=self.progress)
        trajectories = self.plan.trajectories(model, editors, statistics.key)
        # Editors get ready first: what they can't use is told before anything is measured. The orders of the
        # edits share what an editor prepares.
        ready = {id(one.editor): one for one in reversed(trajectories)}
        states = {id(editor): self._prepared(ready[id(editor)], resources) for editor in editors}
        baseline, before = self._measure_unedited(model)
        for trajectory in trajectories:
            state = states[id(trajectory.editor)]
            start = Checkpoint(0, Delta.empty(model.fingerprint), state)
            self._follow(trajectory, start, resources, baseline, before)

    def _load(self, name: str) -> LanguageModel:
        """Loads a model and remembers its fingerprint.

        Raises:
            SequelaError: Its results would be mixed up with those of another model.
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
                f"{name!r} is no longer the model that the run in {self.folder} began with: its "
                f"fingerprint was {known[name]}, now it is {model.fingerprint}.",
                hint="Choose another folder with --output.",
            )
        twins = [other for other, fingerprint in known.items() if fingerprint == model.fingerprint]
        if any(other != name for other in twins):
            raise SequelaError(f"{name!r} and {twins[0]!r} are one and the same model.")
        hashes = {**known, name: model.fingerprint}
        self.manifest = self.manifest.model_copy(update={"model_hashes": hashes})
        self.manifest = self.manifest.with_plugins(family_plugin(model.family))
        write_manifest(self.folder, self.manifest)
        return model

    def _prepared(self, trajectory: Trajectory, resources: Resources) -> EditorState:
        started = time.perf_counter()
        state: EditorState = trajectory.editor.prepare(trajectory.model, resources)
        self._cost("statistics and contexts", started, trajectory.labels(0))
        return state

    def _measure_unedited(self, model: LanguageModel) -> tuple[Baseline, Unedited]:
        """Measures the model before any edit, over all the edits any checkpoint will ask about."""
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
        baseline = Baseline()
        settings = self.plan.study.edit_quality
        self.progress.say(f"{model.name}: measuring the unedited model")
        before = Unedited(
            neighborhood_answers(edited, self.engine, self.plan.edits, settings, self.progress),
            reference_texts(edited, self.engine, self.plan.edits, settings, self.progress),
        )

        def edit_quality() -> tuple[list[Finding], list[ItemRecord]]:
            items = self._retention(edited, self.plan.edits, before)
            return findings(items), items

        for suite, version, measure in self._evaluations(edited, edit_quality):
            key = EvaluationKey(
                trajectory=trajectory,
                n_edits=0,
                suite=suite,
                suite_version=version,
                model_hash=edited.content_hash,
            )
            if not self.store.has(key):
                self._evaluate(key, labels, baseline, measure)
            baseline.remember(self.store.measurements(key=key), self.store.items(key))
            self.progress.advance(self.overall)
        if self.plan.study.alarms.every:
            self.watch.keep_unedited(trajectory, labels, EditedModel(model))
            self.progress.advance(self.overall)
        return baseline, before

    def _follow(
        self,
        trajectory: Trajectory,
        start: Checkpoint,
        resources: Resources,
        baseline: Baseline,
        before: Unedited,
    ) -> None:
        """Takes a trajectory from checkpoint to checkpoint; what is on disk already is not done again."""
        model, study = trajectory.model, self.plan.study
        at = start
        for n_edits in study.checkpoints[1:]:
            folder = checkpoint_folder(self.folder, trajectory.key, n_edits)
            kept = load_checkpoint(folder, n_edits, model, trajectory.editor)
            if kept is not None:
                self.progress.advance(self.overall, n_edits - at.n_edits)
                at = kept
            else:
                at, stopped = self._edit_up_to(trajectory, at, n_edits, resources, before.answers)
                if at.n_edits:
                    folder = checkpoint_folder(self.folder, trajectory.key, at.n_edits)
                    ids = tuple(edit.id for edit in trajectory.edits[: at.n_edits])
                    save_checkpoint(folder, at, model, trajectory.editor, ids)
                if stopped:
                    self._ends_early(trajectory, at.n_edits, stopped)
                    return
            self._measure_checkpoint(trajectory, at, baseline, before)

    def _edit_up_to(
        self, trajectory: Trajectory, at: Checkpoint, n_edits: int, resources: Resources, answers: Answers
    ) -> tuple[Checkpoint, str]:
        """Goes on from a checkpoint; returns how far it came, and why it ends there if it does."""
        settings, last = self.plan.study.edit_quality, self.plan.study.n_edits
        ranks: dict[int, Mapping[str, int]] = {}
        for first, edits in trajectory.batches(at.n_edits, n_edits):
            self.progress.say(
                f"{trajectory.model.name}, {trajectory.label}: edit {first + len(edits)} of {last}"
            )
            result = make_batch(
                trajectory, at, edits, first, resources, self.engine, settings, answers, self.routers
            )
            self.store.write_edit_records(result.records)
            self.store.write_cost(
                CostRecord(
                    step="edit",
                    seconds=result.seconds,
                    units=len(edits),
                    peak_memory_bytes=peak_memory_bytes(),
                    trajectory=trajectory.key,
                    model=trajectory.model.name,
                    editor=trajectory.editor.name,
                    variant=trajectory.variant,
                    n_edits=first + len(edits),
                )
            )
            if result.stopped:
                return at, result.stopped
            made = first + len(edits)
            now = ranks_of(result.delta)
            if now is not None:
                ranks[made] = now
            at = Checkpoint(made, result.delta, result.state, dict(ranks))
            self.progress.advance(self.overall, len(edits))
            if every_so_many(first, made, self.plan.study.alarms.every):
                ringing = self._read_alarms(trajectory, at)
                self.progress.advance(self.overall)
                if ringing:
                    return at, f"an alarm: {', '.join(ringing)}"
        return at, ""

    def _read_alarms(self, trajectory: Trajectory, at: Checkpoint) -> list[str]:
        """Takes the readings and keeps them; returns the rules that end the trajectory."""
        settings, unedited = self.plan.study.alarms, self.watch.unedited
        started = time.perf_counter()

        def note(readings: Readings) -> str:
            told = ringing((*settings.stop_when, *settings.mark_when), readings, unedited)
            return f"ringing: {', '.join(told)}" if told else ""

        readings = self.watch.read(trajectory, at, note)
        labels = trajectory.labels(at.n_edits)
        if told := note(readings):
            place = f"{labels.model}, {trajectory.label}: after {at.n_edits} edits"
            self.progress.say(f"{place} an alarm rings: {told.removeprefix('ringing: ')}")
        self._cost("evaluate", started, labels, trajectory.key, at.n_edits, ALARMS)
        return ringing(settings.stop_when, readings, unedited)

    def _ends_early(self, trajectory: Trajectory, made: int, reason: str) -> None:
        """Notes that a trajectory's later checkpoints will never be."""
        left = [n for n in self.plan.study.checkpoints if n > made]
        unread = len([n for n in self.plan.study.alarms_due(trajectory.batch_size) if n > made])
        unmeasured = len(left) * (len(self.plan.suites) + 1) + unread
        note = (
            f"{trajectory.model.name}, {trajectory.label}, order {trajectory.order_seed}: stopped after "
            f"{made} edits, by {reason}. Its checkpoints {', '.join(map(str, left))} were not reached."
        )
        self.progress.say(note)
        self.progress.advance(self.overall, unmeasured + self.plan.study.n_edits - made)
        planned = self.manifest.evaluations_planned - unmeasured
        notes = (*self.manifest.notes, note)
        self.manifest = self.manifest.model_copy(update={"evaluations_planned": planned, "notes": notes})
        write_manifest(self.folder, self.manifest)

    def _measure_checkpoint(
        self, trajectory: Trajectory, at: Checkpoint, baseline: Baseline, before: Unedited
    ) -> None:
        model = trajectory.model
        edited = trajectory.editor.edited(model, at.delta, at.state, self.routers)
        labels = trajectory.labels(at.n_edits)
        made = trajectory.edits[: at.n_edits]
        ids = {edit.id for edit in made}

        def edit_quality() -> tuple[list[Finding], list[ItemRecord]]:
            now = self._retention(edited, made, before)
            records = [one for one in self.store.edit_records(trajectory.key) if one.edit_id in ids]
            items = [*(item for record in records for item in record.success), *now]
            return findings(items, _notes_of(records)), items

        edits = "1 edit" if at.n_edits == 1 else f"{at.n_edits} edits"
        self.progress.say(f"{model.name}, {trajectory.label}: measuring after {edits}")
        for suite, version, measure in self._evaluations(edited, edit_quality):
            key = EvaluationKey(
                trajectory=trajectory.key,
                n_edits=at.n_edits,
                suite=suite,
                suite_version=version,
                model_hash=edited.content_hash,
            )
            if not self.store.has(key):
                self._evaluate(key, labels, baseline, measure)
            self.progress.advance(self.overall)

    def _retention(self, edited: EditedModel, edits: Sequence[Edit], before: Unedited) -> list[ItemRecord]:
        """What is left of edits on a model, and how it writes about their subjects."""
        settings, engine = self.plan.study.edit_quality, self.engine
        return [
            *measure_edits(edited, engine, edits, RETENTION_AT_N, settings, before.answers, self.progress),
            *measure_texts(edited, engine, edits, RETENTION_AT_N, settings, before.texts, self.progress),
        ]

    def _evaluations(self, edited: EditedModel, edit_quality: Measure) -> Sequence[tuple[str, str, Measure]]:
        """The suites of the study, edit quality first, each with what measures it."""

        def of_suite(suite: Suite) -> Measure:
            def measure() -> tuple[list[Finding], list[ItemRecord]]:
                found = evaluate_counting(suite, edited, self.engine, self.progress)
                return found, [item for finding in found for item in finding.items]

            return measure

        first = (EDIT_QUALITY, self.plan.edit_quality_version, edit_quality)
        return [first, *((suite.name, suite.version, of_suite(suite)) for suite in self.plan.suites)]

    def _evaluate(self, key: EvaluationKey, labels: Labels, baseline: Baseline, measure: Measure) -> None:
        started = time.perf_counter()
        found, items = measure()
        self.store.write_evaluation(key, measurements(found, labels, baseline), items)
        self._cost("evaluate", started, labels, key.trajectory, key.n_edits, key.suite)

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
        """Keeps the cost of a step that ends now; its method and variant are those of the labels."""
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


def _notes_of(records: Sequence[EditRecord]) -> dict[str, str]:
    """What a reader of `success@edit` and `retention@n` must know: edits never made, and explosive ones."""
    told = []
    dropped = [record for record in records if record.dropped]
    if dropped:
        told.append(
            f"{len(dropped)} of {len(records)} edits could not be made and count as failures "
            f"(first: {dropped[0].edit_id}, {dropped[0].dropped})"
        )
    warned = [record for record in records if record.warning]
    if warned:
        first = warned[0]
        told.append(
            f"{len(warned)} of {len(records)} edits are bad (first: edit {first.position}, {first.edit_id}, "
            f"{first.warning})"
        )
    note = "; ".join(told)
    return {SUCCESS_AT_EDIT: note, RETENTION_AT_N: note} if note else {}
