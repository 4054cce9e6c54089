"""A run of an earlier version of its study: what stays of it, in words and in its folder.

Which results stay is decided by the grid alone, before a model is loaded. What only a loaded model shows,
such as other weights under the same path, is decided by `outdated`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from sequela.core.errors import SequelaError
from sequela.core.hashing import hash_json
from sequela.core.progress import Progress
from sequela.core.wording import number_of
from sequela.editors.catalog import JOIN
from sequela.results import (
    ALARMS,
    EDIT_QUALITY,
    CostRecord,
    EarlyEnd,
    EvaluationKey,
    HistoryEntry,
    Kept,
    Manifest,
    Plugin,
    ResultsStore,
)
from sequela.results.manifest import utc_now
from sequela.studies.grid import Evaluation, describe, evaluations, health_due
from sequela.studies.study_changes import Change, Reach, changes_between
from sequela.studies.trajectory_names import (
    method_of,
    of_sample,
    trajectories_by_place,
    trajectory_name,
    unedited_keys,
)

Place = tuple[str, str, int | None, int | None]
"""A trajectory: the model, the method as a hash of its settings, the sample of edits and the shuffle seed."""

RESCORED = "rescored-"
"""The beginning of the version of a suite whose answers were scored again."""


class OtherRunError(SequelaError):
    """The results of a run would be mixed with those of another one."""


class StudyUpdate:
    """The consequences for a run if its study is another one now.

    Args:
        earlier: The manifest of the run.
        current: The manifest of a new run of the study.
        plugins: The plug-ins of the run that are installed in another version.
    """

    def __init__(self, earlier: Manifest, current: Manifest, plugins: Sequence[Plugin] = ()) -> None:
        self._earlier = earlier
        self._current = current
        self._plugins = {one.name for one in plugins}
        self.changes = [*changes_between(earlier, current), *map(_of_plugin, plugins)]
        self._reaches = {one.reach for one in self.changes}

    @cached_property
    def staying(self) -> list[Evaluation]:
        """The evaluations that stay, as far as the run has them."""
        before = {_coordinates(one) for one in evaluations(self._earlier)}
        return [one for one in evaluations(self._current) if _coordinates(one) in before and self._holds(one)]

    @property
    def removed(self) -> list[Evaluation]:
        """The evaluations that the study doesn't have any more."""
        now = set(evaluations(self._current))
        return [
            one
            for one in evaluations(self._earlier)
            if one not in now and _coordinates(one) not in self._stays
        ]

    @property
    def again(self) -> list[Evaluation]:
        """The evaluations of the run that are measured again."""
        before, staying = set(evaluations(self._earlier)), set(self.staying)
        return [one for one in evaluations(self._current) if one in before and one not in staying]

    @property
    def new(self) -> list[Evaluation]:
        """The evaluations that the run doesn't have."""
        before, staying = set(evaluations(self._earlier)), set(self.staying)
        return [one for one in evaluations(self._current) if one not in before and one not in staying]

    def refuse(self, folder: Path) -> None:
        """Refuses the run, with all that differs and what becomes of its results, by name.

        Raises:
            OtherRunError: Always.
        """
        lines = [
            f"{folder} has the run of another study, or of an earlier version of this one. What differs:"
        ]
        lines += [f"* {one.sentence}" for one in self.changes]
        if not self.staying:
            lines.append("None of its results is one of this study.")
        for title, chosen in (
            ("These results stay, as far as they are there:", self.staying),
            ("These are removed:", self.removed),
            ("These are measured again:", self.again),
            ("These are new:", self.new),
        ):
            if chosen:
                lines += [title, *(f"* {one}" for one in describe(chosen))]
        raise OtherRunError(
            "\n".join(lines),
            hint="Add --update to go on with this study there, or choose another folder with --output.",
        )

    def apply(self, store: ResultsStore, folder: Path, progress: Progress) -> None:
        """Removes what doesn't stay from the results and checkpoints of the run.

        It can be interrupted at any point and done again.
        """
        for one in self.changes:
            progress.say(one.sentence)
        removed = store.retain(Kept(self._keeps_evaluation, self._keeps_edit, self._keeps_cost))
        if removed:
            progress.say(f"{number_of('evaluation', removed)} removed from the results")
        for checkpoint in (folder / "checkpoints").glob("*/*"):
            if not self._keeps_checkpoint(checkpoint.parent.name, checkpoint.name):
                shutil.rmtree(checkpoint)
        for trajectory in (folder / "checkpoints").glob("*"):
            if not any(trajectory.iterdir()):
                trajectory.rmdir()

    def manifest(self) -> Manifest:
        """Returns the manifest of the run as it goes on, with what the staying results were computed from."""
        earlier, current, history = self._earlier, self._current, self._earlier.history
        if self.changes:
            changes = tuple(one.sentence for one in self.changes)
            entry = HistoryEntry(time=utc_now(), command=current.command, changes=changes)
            history = (*history, entry)
        models = [] if Reach.EVERYTHING in self._reaches else current.config["models"]
        names = {name for name, place in self._names.items() if place in self._live}
        known = {*models, *map(method_of, names)}
        manifest = current.model_copy(
            update={
                "started": earlier.started,
                "model_hashes": {one: of for one, of in earlier.model_hashes.items() if one in models},
                "trajectory_keys": {one: of for one, of in earlier.trajectory_keys.items() if one in names},
                "input_hashes": {
                    one: of for one, of in earlier.input_hashes.items() if one.rpartition(", ")[0] in known
                },
                "edit_findings": {one: of for one, of in earlier.edit_findings.items() if one in models},
                "history": history,
            }
        )
        for end in self._ends():
            manifest = manifest.with_early_end(end)
        return manifest

    def _ends(self) -> Iterator[EarlyEnd]:
        """Yields the early ends of trajectories that stay, by the checkpoints and suites of the study now."""
        planned = list(evaluations(self._current))
        for end in self._earlier.early_ends:
            name = trajectory_name(end.model, end.method, end.edit_sample, end.order_seed)
            place = self._names.get(name)
            if place in self._live:
                left = [one for one in planned if _place(one) == place and one.n_edits > end.n_edits]
                checkpoints = tuple(n for n in self._checkpoints(self._current) if n > end.n_edits)
                yield end.model_copy(update={"n_unmeasured": len(left), "not_reached": checkpoints})

    # What stays

    def _holds(self, cell: Evaluation) -> bool:
        """Returns whether no other change concerns an evaluation that both studies have."""
        before, after = self._earlier.suite_versions, self._current.suite_versions
        if Reach.EVERYTHING in self._reaches or cell.suite in self._plugins:
            return False
        if cell.is_edited and not self._holds_trajectory(cell.method_name):
            return False
        if cell.suite == ALARMS:
            return Reach.HEALTH not in self._reaches
        return before.get(cell.version_name) == after.get(cell.version_name)

    def _holds_trajectory(self, method: str) -> bool:
        concerned = {Reach.TRAJECTORIES, Reach.HEALTH, Reach.QUALITY, Reach.EVERYTHING}
        return not concerned & self._reaches and not self._plugins & set(method.split(JOIN))

    @cached_property
    def _names(self) -> dict[str, Place]:
        """The trajectories of the run by their names in the manifest."""
        methods = [hash_json(one) for one in self._earlier.config["editors"]]
        return {
            name: (model, methods[method], sample, seed)
            for name, (model, method, sample, seed) in trajectories_by_place(self._earlier).items()
        }

    @cached_property
    def _live(self) -> set[Place]:
        """The trajectories whose edits stay."""
        return {_place(one) for one in self.staying if one.is_edited}

    @cached_property
    def _owners(self) -> dict[str, Place]:
        """The trajectories of the run by their keys, and its unedited models."""
        keys = self._earlier.trajectory_keys
        edited = {keys[name]: place for name, place in self._names.items()}
        return edited | {
            key: (model, "", sample, None)
            for model, fingerprint in self._earlier.model_hashes.items()
            for sample, key in unedited_keys(self._earlier, fingerprint).items()
        }

    @cached_property
    def _stays(self) -> set[tuple[Place, int, str]]:
        return {_coordinates(one) for one in self.staying}

    @cached_property
    def _relabels_unedited(self) -> bool:
        """True if results of the unedited model get another shuffle seed, which is the first of the study."""
        return bool(self._earlier.config["order_seeds"][0] != self._current.config["order_seeds"][0])

    def _keeps_evaluation(self, key: EvaluationKey) -> bool:
        name = key.suite
        if name == EDIT_QUALITY and (place := self._owners.get(key.trajectory)) is not None:
            name = of_sample(name, place[2])
        version = self._current.suite_versions.get(name, key.suite_version)
        is_current = key.suite_version == version or key.suite_version.startswith(RESCORED)
        return is_current and self._keeps(key.trajectory, key.n_edits, key.suite)

    def _keeps(self, trajectory: str, n_edits: int, suite: str) -> bool:
        place = self._owners.get(trajectory)
        if place is None or (n_edits == 0 and self._relabels_unedited):
            return False
        if (place, n_edits, suite) in self._stays:
            return True
        # A bisection may have measured health where the study doesn't.
        is_reached = place in self._live and n_edits <= self._checkpoints(self._current)[-1]
        return suite == ALARMS and is_reached and not self._was_due(place, n_edits)

    def _was_due(self, place: Place, n_edits: int) -> bool:
        alarms = self._earlier.config.get("alarms") or {}
        sizes = {hash_json(one): int(one.get("batch_size", 1)) for one in self._earlier.config["editors"]}
        last, every = self._checkpoints(self._earlier)[-1], int(alarms.get("every") or 0)
        return n_edits in health_due(last, sizes[place[1]], every)

    def _keeps_edit(self, trajectory: str, position: int) -> bool:
        return self._is_live(trajectory) and position <= self._unchanged

    def _is_live(self, trajectory: str) -> bool:
        return self._owners.get(trajectory) in self._live

    @cached_property
    def _unchanged(self) -> int:
        """The last checkpoint up to which both studies have the same ones.

        What is recorded of the edits after it comes from tasks that end elsewhere now. It is collected again.
        """
        same = 0
        for before, after in zip(
            self._checkpoints(self._earlier), self._checkpoints(self._current), strict=False
        ):
            if before != after:
                break
            same = before
        return same

    def _keeps_cost(self, cost: CostRecord) -> bool:
        if not cost.trajectory:  # loading a model and preparing a method, which are done again
            return False
        n_edits = cost.n_edits or 0
        if cost.suite:
            return self._keeps(cost.trajectory, n_edits, cost.suite)
        return self._keeps_edit(cost.trajectory, n_edits)

    def _keeps_checkpoint(self, trajectory: str, n_edits: str) -> bool:
        common = set(self._checkpoints(self._earlier)) & set(self._checkpoints(self._current))
        return self._is_live(trajectory) and n_edits in map(str, common)

    @staticmethod
    def _checkpoints(manifest: Manifest) -> list[int]:
        return list(manifest.config["checkpoints"])


def _place(cell: Evaluation) -> Place:
    return cell.model, cell.identity, cell.sample, cell.order_seed


def _coordinates(cell: Evaluation) -> tuple[Place, int, str]:
    return _place(cell), cell.n_edits, cell.suite


def _of_plugin(plugin: Plugin) -> Change:
    is_part = plugin.kind in ("editor", "regularizer", "suite", "benchmark")
    said = f"packages: the {plugin.noun} {plugin.name} was of {plugin.distribution} {plugin.version}"
    if is_part:
        return Change(f"{said}; what it has to do with is measured again")
    return Change(f"{said}; {Reach.EVERYTHING.value}", Reach.EVERYTHING)
