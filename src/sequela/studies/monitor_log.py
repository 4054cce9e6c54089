"""Health metrics of trajectories, measured during a run or afterwards and stored with its results."""

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
"""The values of health metrics, by name."""


class MonitorLog:
    """Measures and stores the health metrics of one model's trajectories.

    Args:
        monitor: The monitor that measures them.
        store: The store for the measurements.
    """

    def __init__(self, monitor: HealthMonitor, store: ResultsStore) -> None:
        self._monitor = monitor
        self._store = store

    @property
    def unedited(self) -> HealthMetrics:
        """The health metrics of the unedited model."""
        return self._monitor.unedited

    def store_unedited(self, trajectory: str, labels: Labels, base: EditedModel) -> None:
        """Stores the health metrics of the unedited model."""
        self._store_results(
            self._monitor.key(trajectory, 0, base), self._monitor.task_results(self.unedited), labels
        )

    def measure(
        self, trajectory: Trajectory, at: Snapshot, note: Callable[[HealthMetrics], str]
    ) -> HealthMetrics:
        """Measures and stores the health metrics of a trajectory after a number of edits.

        Args:
            trajectory: The trajectory.
            at: The snapshot after these edits.
            note: Returns the note to store with the metrics.
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
        return Baseline({one.series: one.value for one in self._monitor.task_results(self.unedited)})

    def _store_results(self, key: EvaluationKey, results: list[TaskResult], labels: Labels) -> None:
        if not self._store.has(key):
            self._store.write_evaluation(key, measurements(results, labels, self._baseline))
