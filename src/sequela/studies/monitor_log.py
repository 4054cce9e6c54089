"""Alarms of trajectories, read on their way or afterwards, and kept with a run's results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from sequela.edited import EditedModel
from sequela.editors.session import Snapshot
from sequela.evaluation.monitors import Alarms
from sequela.results import EvaluationKey, Labels, ResultsStore, TaskResult
from sequela.studies.baseline import Baseline, measurements
from sequela.studies.trajectory import Trajectory

Readings = Mapping[str, float]
"""What was read, by the reading's name."""


class AlarmWatch:
    """Reads the alarms of one model's trajectories.

    Args:
        alarms: What reads them.
        store: Where the readings are kept.
    """

    def __init__(self, alarms: Alarms, store: ResultsStore) -> None:
        self._alarms = alarms
        self._store = store

    @property
    def unedited(self) -> Readings:
        """The readings of the unedited model."""
        return self._alarms.unedited

    def keep_unedited(self, trajectory: str, labels: Labels, base: EditedModel) -> None:
        """Keeps the readings of the unedited model."""
        self._keep(self._alarms.key(trajectory, 0, base), self._alarms.findings(self.unedited), labels)

    def read(self, trajectory: Trajectory, at: Snapshot, note: Callable[[Readings], str]) -> Readings:
        """Reads and keeps the alarms of a trajectory after so many edits.

        Args:
            trajectory: Which.
            at: After how many, and what stands there.
            note: What a reader of them must know.
        """
        edited = trajectory.session.edited(at)
        readings = self._alarms.read(edited)
        key = self._alarms.key(trajectory.key, at.n_edits, edited)
        self._keep(key, self._alarms.findings(readings, note(readings)), trajectory.labels(at.n_edits))
        return readings

    @cached_property
    def _baseline(self) -> Baseline:
        found = self._alarms.findings(self.unedited)
        return Baseline({(one.suite, one.task, one.metric, one.protocol): one.value for one in found})

    def _keep(self, key: EvaluationKey, found: list[TaskResult], labels: Labels) -> None:
        if not self._store.has(key):
            self._store.write_evaluation(key, measurements(found, labels, self._baseline))
