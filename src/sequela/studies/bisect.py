"""TaskResult the edit at which an alarm first rings, in a run that is done.

Between the last checkpoint at which it is silent and the first at which it rings the number of edits is
halved again and again: twenty edits take five readings. It is taken for granted that an alarm which has rung
goes on ringing; where it doesn't, what is found is one edit at which it begins to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sequela.core.errors import SequelaError
from sequela.core.progress import SILENT, Progress
from sequela.editors.session import Snapshot
from sequela.evaluation.monitor_rules import HealthRule
from sequela.evaluation.monitors import HealthMonitor
from sequela.inference import open_engine
from sequela.models import LanguageModel, load_model
from sequela.results import EditRecord, Manifest, open_store, read_manifest
from sequela.studies.checkpoints import Checkpoint, checkpoint_folder, load_checkpoint
from sequela.studies.monitor_log import MonitorLog
from sequela.studies.plan import make_plan
from sequela.studies.plugins import check_plugins
from sequela.studies.study import Study
from sequela.studies.trajectory import Trajectory


@dataclass(frozen=True)
class FirstTrigger:
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
) -> list[FirstTrigger]:
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
    health_rule = HealthRule.parse(rule)
    manifest = read_manifest(folder)
    if not manifest.given:
        raise SequelaError(
            f"The run in {folder} was made by an earlier version, which didn't keep its study."
        )
    check_plugins(manifest)
    study = Study.model_validate(manifest.given)
    plan = make_plan(study)
    found: list[FirstTrigger] = []
    with open_store(folder) as store:
        for name in study.models:
            model = _loaded(name, study, manifest, progress)
            with open_engine(study.engine, model, study.memory, frozenset(), progress) as engine:
                monitor_log = MonitorLog(HealthMonitor(model, engine), store)
                for trajectory in plan.trajectories(plan.sessions(model, progress)):
                    if editor in (None, trajectory.session.editor.name):
                        checkpoints = _checkpoints(folder, trajectory)
                        search = _Search(trajectory, checkpoints, monitor_log, health_rule, progress)
                        records = {one.position: one for one in store.edit_records(trajectory.key)}
                        found.append(search.run(records))
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


def _checkpoints(folder: Path, trajectory: Trajectory) -> dict[int, Checkpoint]:
    """The kept checkpoints of a trajectory by their edits, ascending."""
    root, session = checkpoint_folder(folder, trajectory.key, 0).parent, trajectory.session
    names = [path.name for path in root.iterdir()] if root.is_dir() else []
    found = {}
    for n_edits in sorted(int(name) for name in names if name.isdigit()):
        kept = load_checkpoint(root / str(n_edits), n_edits, session.model, session.editor)
        if kept is not None:
            found[n_edits] = kept
    return found


class _Search:
    """The search on one trajectory."""

    def __init__(
        self,
        trajectory: Trajectory,
        checkpoints: Mapping[int, Checkpoint],
        monitor_log: MonitorLog,
        rule: HealthRule,
        progress: Progress,
    ) -> None:
        self._trajectory = trajectory
        self._checkpoints = checkpoints
        self._monitor_log = monitor_log
        self._rule = rule
        self._progress = progress
        self._read: dict[int, float] = {0: monitor_log.unedited[rule.metric]}
        self._reapplied: dict[int, Snapshot] = {}

    def run(self, records: Mapping[int, EditRecord]) -> FirstTrigger:
        """Looks at the checkpoints first, by halves too, and then between two of them.

        Args:
            records: What became of the edits, by their places.
        """
        silent, first = self._first(list(self._checkpoints))
        if first is not None:
            size = self._trajectory.session.batch_size
            _, earlier = self._first(range(silent + size, first, size))
            first = first if earlier is None else earlier
        before = None if first is None else max(0, first - self._trajectory.session.batch_size)
        return FirstTrigger(
            model=self._trajectory.session.model.name,
            label=self._trajectory.label,
            order_seed=self._trajectory.order_seed,
            rule=self._rule.text,
            edit=first,
            record=None if first is None else records.get(first),
            before=None if before is None else self._read.get(before),
            after=None if first is None else self._read.get(first),
            unedited=self._read[0],
            n_readings=len(self._read) - 1,
            n_made_again=len(self._reapplied),
        )

    def _first(self, places: Sequence[int]) -> tuple[int, int | None]:
        """The last place at which it is silent (0 if none) and the first at which it rings, if it does."""
        low, high = -1, len(places)
        while high - low > 1:
            middle = (low + high) // 2
            if self._is_triggered(places[middle]):
                high = middle
            else:
                low = middle
        return (places[low] if low >= 0 else 0), (places[high] if high < len(places) else None)

    def _is_triggered(self, n_edits: int) -> bool:
        name = self._rule.metric
        if n_edits not in self._read:
            self._progress.say(f"{self._trajectory.label}: reading alarms after {n_edits} edits")
            at = self._after(n_edits)
            metrics = self._monitor_log.measure(self._trajectory, at, lambda _: "read by bisection")
            self._read[n_edits] = metrics[name]
        return self._rule.is_triggered({name: self._read[n_edits]}, self._monitor_log.unedited)

    def _after(self, n_edits: int) -> Snapshot:
        """From the factors of the next checkpoint, or by making the edits since the last one again.

        A state can't be told from a later one: edits that sit in it are always made again.
        """
        later = min((n for n in self._checkpoints if n >= n_edits), default=None)
        if later is not None and self._trajectory.session.editor.location == "weights":
            kept = self._checkpoints[later].delta_after(n_edits)
            if kept is not None:
                return Snapshot(n_edits, kept, self._checkpoints[later].state)
        return self._edited_up_to(n_edits)

    def _edited_up_to(self, n_edits: int) -> Snapshot:
        session = self._trajectory.session
        known = {**self._checkpoints, **self._reapplied}
        earlier = max((n for n in known if n <= n_edits), default=None)
        at = start = session.start() if earlier is None else known[earlier]
        for at in session.run(self._trajectory.edits[:n_edits], start):
            self._reapplied[at.n_edits] = at
        return at
