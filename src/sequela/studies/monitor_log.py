"""Alarms of trajectories, read on their way or afterwards, and kept with a run's results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from sequela.edited import EditedModel
from sequela.editors.session import Snapshot
from sequela.evaluation.monitors import HealthMonitor
from sequela.results import EvaluationKey, Labels, ResultsStore, TaskResult
from sequela.studies.baseline import Baseline, measurements
from sequela.studies.trajectory import Trajectory

HealthMetrics = Mapping[str, float]
"""What was read, by the reading's name."""


class MonitorLog:
    """Reads the alarms of one model's trajectories.

    Args:
        monitor: What reads them.
        store: Where the readings are kept.
    """

    def __init__(self, monitor: HealthMonitor, store: ResultsStore) -> None:
        self._monitor = monitor
        self._store = store

    @property
    def unedited(self) -> HealthMetrics:
        """The readings of the unedited model."""
        return self._monitor.unedited

    def store_unedited(self, trajectory: str, labels: Labels, base: EditedModel) -> None:
        """Keeps the readings of the unedited model."""
        self._store_results(
            self._monitor.key(trajectory, 0, base), self._monitor.task_results(self.unedited), labels
        )

    def measure(
        self, trajectory: Trajectory, at: Snapshot, note: Callable[[HealthMetrics], str]
    ) -> HealthMetrics:
        """Reads and keeps the alarms of a trajectory after so many edits.

        Args:
            trajectory: Which.
            at: After how many, and what stands there.
            note: What a reader of them must know.
        """
        edited = trajectory.session.edited(at)
        metrics = self._monitor.measure(edited)
        key = self._monitor.key(trajectory.key, at.n_edits, edited)
        self._store_results(
            key, self._monitor.task_results(metrics, note(metrics)), trajectory.labels(at.n_edits)
        )
        return metrics

    @cached_property
    def _baseline(self) -> Baseline:
        found = self._monitor.task_results(self.unedited)
        return Baseline({(one.suite, one.task, one.metric, one.protocol): one.value for one in found})

    def _store_results(self, key: EvaluationKey, found: list[TaskResult], labels: Labels) -> None:
        if not self._store.has(key):
            self._store.write_evaluation(key, measurements(found, labels, self._baseline))
