"""Health metrics of trajectories, measured during a run or afterwards and stored with its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from sequela.edited import EditedModel
from sequela.editors.session import Snapshot
from sequela.evaluation.monitors import HealthMonitor, health_results
from sequela.results import ALARMS, EvaluationKey, Labels, ResultsStore, TaskResult
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
        key = self._key(trajectory.key, at.n_edits, edited)
        self._store_results(key, health_results(metrics, note(metrics)), trajectory.labels(at.n_edits))
        return metrics

    @cached_property
    def _baseline(self) -> Baseline:
        return Baseline({one.series: one.value for one in health_results(self.unedited)})

    def _key(self, trajectory: str, n_edits: int, edited: EditedModel) -> EvaluationKey:
        return EvaluationKey(
            trajectory=trajectory,
            n_edits=n_edits,
            suite=ALARMS,
            suite_version=self._monitor.version,
            model_hash=edited.content_hash,
        )

    def _store_results(self, key: EvaluationKey, results: list[TaskResult], labels: Labels) -> None:
        if not self._store.has(key):
            self._store.write_evaluation(key, measurements(results, labels, self._baseline))
