"""Finding the edit at which an alarm first rings, in a run that is done.

Between the last checkpoint at which it is silent and the first at which it rings the number of edits is
halved again and again: twenty edits take five readings. It is taken for granted that an alarm which has rung
goes on ringing; where it doesn't, what is found is one edit at which it begins to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sequela.deltas import Delta
from sequela.editors import AnyEditor, EditorState, Resources
from sequela.editors.presets import with_preset
from sequela.editors.sequence import edit_batch
from sequela.evaluation.alarms import SUITE, AlarmRule, Alarms
from sequela.ground.errors import SequelaError
from sequela.ground.progress import SILENT, Progress
from sequela.inference import open_engine
from sequela.models import EditedModel, LanguageModel, load_model
from sequela.models.chat import ChatTemplate
from sequela.results import EditRecord, EvaluationKey, Manifest, ResultsStore, open_store, read_manifest
from sequela.statistics import Statistics
from sequela.studies.checkpoints import Checkpoint, checkpoint_folder, load_checkpoint
from sequela.studies.measuring import Baseline, measurements
from sequela.studies.plan import make_plan
from sequela.studies.study import Study
from sequela.studies.trajectory import Trajectory


@dataclass(frozen=True)
class FirstRing:
    """Where an alarm first rings on one trajectory.

    Args:
        model: The base.
        label: The method.
        order_seed: The seed of the edits' order.
        rule: The alarm's rule.
        edit: The edit (the last of its batch) after which it rings; None if it never does.
        record: What became of that edit.
        before: The reading one batch earlier.
        after: The reading there.
        unedited: The unedited model's reading.
        n_readings: How many readings it took.
        n_made_again: How many edits had to be made again, because their change was not kept as factors.
    """

    model: str
    label: str
    order_seed: int
    rule: str
    edit: int | None
    record: EditRecord | None
    before: float | None
    after: float | None
    unedited: float
    n_readings: int
    n_made_again: int


def bisect_run(
    folder: Path, rule: str, editor: str | None = None, progress: Progress = SILENT
) -> list[FirstRing]:
    """Finds where an alarm first rings on every trajectory of a run; the readings are kept in the run.

    Args:
        folder: The run.
        rule: When it rings, e.g. `perplexity > 10x`.
        editor: Only trajectories of this method.
        progress: Who is told.

    Raises:
        BadInputError: The rule is none.
        SequelaError: There is no run, or its model or checkpoints are not those it was made with.
    """
    alarm = AlarmRule.parse(rule)
    manifest = read_manifest(folder)
    if not manifest.given:
        raise SequelaError(
            f"The run in {folder} was made by an earlier version, which didn't keep its study."
        )
    study = Study.model_validate(manifest.given)
    plan = make_plan(study)
    found: list[FirstRing] = []
    with open_store(folder) as store:
        for name in study.models:
            model = _loaded(name, study, manifest, progress)
            with open_engine(study.engine, model, study.memory, frozenset(), progress) as engine:
                alarms = Alarms(model, engine)
                statistics = Statistics(model, study.statistics, progress=progress)
                for choice, made in plan.editors:
                    if editor not in (None, choice.name):
                        continue
                    filled = with_preset(made, model, progress)
                    for seed in study.order_seeds:
                        trajectory = Trajectory(
                            model=model,
                            editor=filled,
                            edits=plan.edits.shuffled(seed),
                            order_seed=seed,
                            batch_size=choice.batch_size,
                            seed=study.seed,
                            statistics=statistics.key,
                            policy=study.on_bad_edit,
                            edit_template=(ChatTemplate.of(model) if study.edit_template == "chat" else None),
                            template=study.evaluation_template,
                        )
                        resources = Resources(statistics, seed=study.seed, progress=progress)
                        search = _Search(folder, store, trajectory, alarms, alarm, resources, progress)
                        found.append(search.run(_checkpoints(folder, trajectory, filled)))
    if not found:
        raise SequelaError(f"The run in {folder} has no trajectory of {editor!r}.")
    return found


def _loaded(name: str, study: Study, manifest: Manifest, progress: Progress) -> LanguageModel:
    model = load_model(name, device=study.device, dtype=study.dtype, progress=progress)
    known = manifest.model_hashes.get(name)
    if known != model.fingerprint:
        raise SequelaError(
            f"{name!r} is not the model of this run: its fingerprint is {model.fingerprint}, not {known}."
        )
    return model


def _checkpoints(folder: Path, trajectory: Trajectory, editor: AnyEditor) -> list[Checkpoint]:
    """The kept checkpoints of a trajectory, ascending."""
    root = checkpoint_folder(folder, trajectory.key, 0).parent
    numbers = (
        sorted(int(path.name) for path in root.iterdir() if path.name.isdigit()) if root.is_dir() else []
    )
    loaded = (
        load_checkpoint(checkpoint_folder(folder, trajectory.key, n), n, trajectory.model, editor)
        for n in numbers
        if n > 0
    )
    return [one for one in loaded if one is not None]


class _Search:
    """The search on one trajectory."""

    def __init__(
        self,
        folder: Path,
        store: ResultsStore,
        trajectory: Trajectory,
        alarms: Alarms,
        rule: AlarmRule,
        resources: Resources,
        progress: Progress,
    ) -> None:
        self._folder = folder
        self._store = store
        self._trajectory = trajectory
        self._alarms = alarms
        self._rule = rule
        self._resources = resources
        self._progress = progress
        self._baseline = Baseline()
        self._read: dict[int, float] = {0: alarms.unedited[rule.reading]}
        self._n_readings = 0
        self._made_again: dict[int, Checkpoint] = {}

    def run(self, checkpoints: Sequence[Checkpoint]) -> FirstRing:
        """Looks at the checkpoints first, by halves too, and then between two of them."""
        labels = self._trajectory.labels(0)
        self._baseline.remember(
            measurements(self._alarms.findings(self._alarms.unedited), labels, Baseline()), ()
        )
        silent, ringing = self._first(
            [one.n_edits for one in checkpoints], {c.n_edits: c for c in checkpoints}
        )
        if ringing is None:
            return self._told(None)
        size = self._trajectory.batch_size
        between = [min(n, ringing) for n in range(silent + size, ringing + size, size)]
        _, first = self._first(between, {c.n_edits: c for c in checkpoints}, known_to_ring=ringing)
        return self._told(first)

    def _first(
        self, places: Sequence[int], checkpoints: dict[int, Checkpoint], known_to_ring: int | None = None
    ) -> tuple[int, int | None]:
        """The last place at which it is silent (0 if none) and the first at which it rings."""
        low, high = -1, len(places)
        if known_to_ring is not None:
            high = places.index(known_to_ring)
        while high - low > 1:
            middle = (low + high) // 2
            if self._rings(places[middle], checkpoints):
                high = middle
            else:
                low = middle
        return (places[low] if low >= 0 else 0), (places[high] if high < len(places) else None)

    def _rings(self, n_edits: int, checkpoints: dict[int, Checkpoint]) -> bool:
        name = self._rule.reading
        if n_edits not in self._read:
            self._progress.say(f"{self._trajectory.label}: reading alarms after {n_edits} edits")
            model = self._trajectory.model
            delta = self._trajectory.editor.of_whole(model, self._delta_after(n_edits, checkpoints))
            readings = self._alarms.read(delta)
            self._n_readings += 1
            self._read[n_edits] = readings[name]
            self._keep(n_edits, readings, EditedModel(model, delta))
        return self._rule.rings({name: self._read[n_edits]}, self._alarms.unedited)

    def _delta_after(self, n_edits: int, checkpoints: dict[int, Checkpoint]) -> Delta:
        """From the factors of the next checkpoint, or by making the edits since the last one again."""
        later = min((n for n in checkpoints if n >= n_edits), default=None)
        if later is not None:
            kept = checkpoints[later].delta_after(n_edits)
            if kept is not None:
                return kept
        known = {**checkpoints, **self._made_again}
        earlier = max((n for n in known if n <= n_edits), default=0)
        editor, model = self._trajectory.editor, self._trajectory.model
        if earlier:
            at = known[earlier]
        else:
            state: EditorState = editor.prepare(model, self._resources)
            at = Checkpoint(0, Delta.empty(model.fingerprint), state)
        for first, edits in self._trajectory.batches(at.n_edits, n_edits):
            step = edit_batch(
                editor,
                model,
                self._trajectory.for_editor(edits),
                at.delta,
                at.state,
                self._resources,
                self._trajectory.policy,
            )
            at = Checkpoint(first + len(edits), step.delta, step.state)
            self._made_again[at.n_edits] = at
        return at.delta

    def _keep(self, n_edits: int, readings: dict[str, float], edited: EditedModel) -> None:
        key = EvaluationKey(
            trajectory=self._trajectory.key,
            n_edits=n_edits,
            suite=SUITE,
            suite_version=self._alarms.version,
            model_hash=edited.content_hash,
        )
        if not self._store.has(key):
            found = self._alarms.findings(readings, "read by bisection")
            self._store.write_evaluation(
                key, measurements(found, self._trajectory.labels(n_edits), self._baseline)
            )

    def _told(self, first: int | None) -> FirstRing:
        records = {one.position: one for one in self._store.edit_records(self._trajectory.key)}
        before = None if first is None else max(0, first - self._trajectory.batch_size)
        return FirstRing(
            model=self._trajectory.model.name,
            label=self._trajectory.label,
            order_seed=self._trajectory.order_seed,
            rule=self._rule.text,
            edit=first,
            record=None if first is None else records.get(first),
            before=None if before is None else self._read.get(before),
            after=None if first is None else self._read.get(first),
            unedited=self._read[0],
            n_readings=self._n_readings,
            n_made_again=len(self._made_again),
        )
