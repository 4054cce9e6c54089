"""Bisection of a finished run for the first edit that triggers a health rule.

The search halves the interval between the last checkpoint at which the rule is not triggered and the first at
which it is: twenty edits take five measurements. A rule is assumed to stay triggered. If it does not, the
result is one of the edits at which it becomes triggered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sequela.core.errors import SequelaError
from sequela.core.progress import SILENT, Progress
from sequela.core.wording import number_of
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
    """The first edit that triggers a health rule on one trajectory.

    Args:
        model: The base model.
        label: The label of the method.
        edit_sample: The sample of edits; None if the study has no samples.
        order_seed: The shuffle seed.
        rule: The health rule.
        edit: The edit (the last of its batch) after which the rule is triggered; None if it never is, and 0
            if the unedited model meets it already.
        record: The record of that edit.
        before: The health metric one batch earlier.
        after: The health metric after the edit.
        unedited: The health metric of the unedited model.
        n_readings: The number of measurements that the search took.
        n_reapplied: The number of batches reapplied because their change was not stored as factors.
    """

    model: str
    label: str
    edit_sample: int | None
    order_seed: int
    rule: str
    edit: int | None
    record: EditRecord | None
    before: float | None
    after: float | None
    unedited: float
    n_readings: int
    n_reapplied: int


def bisect_run(
    folder: Path, rule: str, editor: str | None = None, progress: Progress = SILENT
) -> list[FirstTrigger]:
    """Finds the first edit that triggers a health rule on every trajectory of a run.

    The measurements are stored with the run's results.

    Args:
        folder: The folder of the run.
        rule: The health rule, such as `perplexity > 10x`.
        editor: The only method whose trajectories are searched; None for all.
        progress: Receives messages and progress.

    Raises:
        BadInputError: The rule is invalid.
        SequelaError: There is no run, or its model or checkpoints have changed.
    """
    health_rule = HealthRule.parse(rule)
    manifest = read_manifest(folder)
    if not manifest.given:
        raise SequelaError(
            f"The run in {folder} was written by an earlier version, which didn't store the study.",
            hint="Run the study again.",
        )
    check_plugins(manifest)
    study = Study.model_validate(manifest.given)
    plan = make_plan(study)
    methods = {one.name for _, one in plan.editors}
    if editor is not None and editor not in methods:
        message, hint = (
            f"The run in {folder} has no method {editor!r}.",
            f"It has {', '.join(sorted(methods))}.",
        )
        raise SequelaError(message, hint=hint)
    triggers: list[FirstTrigger] = []
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
                        triggers.append(search.run(records))
    return triggers


def _loaded(name: str, study: Study, manifest: Manifest, progress: Progress) -> LanguageModel:
    model = load_model(
        name,
        device=study.device,
        device_map=study.device_map,
        dtype=study.dtype,
        progress=progress,
    )
    known = manifest.model_hashes.get(name)
    if known != model.fingerprint:
        raise SequelaError(
            f"{name!r} is not the model of this run: its fingerprint is {model.fingerprint}, not {known}."
        )
    return model


def _checkpoints(folder: Path, trajectory: Trajectory) -> dict[int, Checkpoint]:
    """Returns the stored checkpoints of a trajectory by number of edits, in ascending order."""
    root, session = checkpoint_folder(folder, trajectory.key, 0).parent, trajectory.session
    names = [path.name for path in root.iterdir()] if root.is_dir() else []
    checkpoints = {}
    for n_edits in sorted(int(name) for name in names if name.isdigit()):
        stored = load_checkpoint(root / str(n_edits), n_edits, session.model, session.editor)
        if stored is not None:
            checkpoints[n_edits] = stored
    return checkpoints


class _Search:
    """The bisection of one trajectory."""

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
        self._measured: dict[int, float] = {0: monitor_log.unedited[rule.metric]}
        self._reapplied: dict[int, Snapshot] = {}

    def run(self, records: Mapping[int, EditRecord]) -> FirstTrigger:
        """Bisects the checkpoints, and then the batches between two of them.

        Args:
            records: The edit records, by position.
        """
        size = self._trajectory.session.batch_size
        first: int | None = 0
        if not self._is_triggered(0):
            last, first = self._first(list(self._checkpoints))
            if first is not None:
                _, earlier = self._first(range(last + size, first, size))
                first = first if earlier is None else earlier
        before = first - size if first else None
        before = None if before is None else max(0, before)
        return FirstTrigger(
            model=self._trajectory.session.model.name,
            label=self._trajectory.label,
            edit_sample=self._trajectory.edit_sample,
            order_seed=self._trajectory.order_seed,
            rule=self._rule.text,
            edit=first,
            record=None if first is None else records.get(first),
            before=None if before is None else self._measured.get(before),
            after=None if first is None else self._measured.get(first),
            unedited=self._measured[0],
            n_readings=len(self._measured) - 1,
            n_reapplied=len(self._reapplied),
        )

    def _first(self, counts: Sequence[int]) -> tuple[int, int | None]:
        """Bisects numbers of edits for the boundary at which the rule becomes triggered.

        Returns:
            The last count at which it is not triggered (0 if there is none), and the first at which it is.
        """
        low, high = -1, len(counts)
        while high - low > 1:
            middle = (low + high) // 2
            if self._is_triggered(counts[middle]):
                high = middle
            else:
                low = middle
        return (counts[low] if low >= 0 else 0), (counts[high] if high < len(counts) else None)

    def _is_triggered(self, n_edits: int) -> bool:
        name = self._rule.metric
        if n_edits not in self._measured:
            self._progress.say(
                f"{self._trajectory.label}: measuring health after {number_of('edit', n_edits)}"
            )
            at = self._after(n_edits)
            metrics = self._monitor_log.measure(self._trajectory, at, lambda _: "measured by bisection")
            self._measured[n_edits] = metrics[name]
        return self._rule.is_triggered({name: self._measured[n_edits]}, self._monitor_log.unedited)

    def _after(self, n_edits: int) -> Snapshot:
        """Returns the snapshot after a number of edits.

        It is taken from the factors of the next checkpoint, or by reapplying the edits since the last one. An
        editor's state can't be derived from a later state, so edits of memory-based and in-context methods
        are always reapplied.
        """
        later = min((n for n in self._checkpoints if n >= n_edits), default=None)
        if later is not None and self._trajectory.session.editor.location == "weights":
            delta = self._checkpoints[later].delta_after(n_edits)
            if delta is not None:
                return Snapshot(n_edits, delta, self._checkpoints[later].state)
        return self._edited_up_to(n_edits)

    def _edited_up_to(self, n_edits: int) -> Snapshot:
        session = self._trajectory.session
        known = {**self._checkpoints, **self._reapplied}
        earlier = max((n for n in known if n <= n_edits), default=None)
        at = start = session.start() if earlier is None else known[earlier]
        for at in session.run(self._trajectory.edits[:n_edits], start):
            self._reapplied[at.n_edits] = at
        return at
