"""The estimate of a study: what it will take, before anything is paid for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sequela.core.precision import choose_precision
from sequela.core.progress import SILENT, Progress
from sequela.models.loading import choose_device
from sequela.planning.disk import DiskSpace
from sequela.planning.grid import Grid
from sequela.planning.model_estimate import ModelEstimate, Options, estimate_model
from sequela.planning.task_times import TaskEstimate
from sequela.store import open_store
from sequela.studies.plan import make_plan
from sequela.studies.study import Study


@dataclass(frozen=True)
class Row:
    """Tasks of one kind.

    Args:
        model: The model.
        kind: The kind.
        of: The method, or `unedited model`.
        what: The suite, or what is done.
        tasks: The tasks.
    """

    model: str
    kind: str
    of: str
    what: str
    tasks: tuple[TaskEstimate, ...]

    @property
    def n_stored(self) -> int:
        """The number of tasks whose output is in the store."""
        return sum(bool(task.stored) for task in self.tasks)

    @property
    def seconds(self) -> float:
        """The time of all tasks, stored or not."""
        return sum(task.seconds for task in self.tasks)

    @property
    def seconds_left(self) -> float:
        """The time of the tasks that are left."""
        return sum(task.seconds for task in self.tasks if not task.stored)


@dataclass(frozen=True)
class Estimate:
    """The work, time, memory and disk that a study will take.

    Args:
        name: The name of the study.
        grid: Its size.
        setup_seconds: The time to read the edits and the suites.
        models: What each model will take.
        store: The location of the store.
        device: The name of the device profile; empty for this machine.
        device_memory: The memory of that device in bytes; None for this machine.
    """

    name: str
    grid: Grid
    setup_seconds: float
    models: tuple[ModelEstimate, ...]
    store: str
    device: str = ""
    device_memory: int | None = None

    @property
    def seconds(self) -> float:
        """The time of everything that is left, with one worker."""
        return self.setup_seconds + sum(model.seconds for model in self.models)

    @property
    def memory(self) -> int:
        """The peak memory of the process, in bytes: models are loaded one after the other."""
        return max(model.memory.total for model in self.models)

    @property
    def disk(self) -> DiskSpace:
        """The disk space of everything that is left."""
        return sum((model.disk for model in self.models), DiskSpace())

    @property
    def tasks(self) -> tuple[TaskEstimate, ...]:
        """All tasks of all models."""
        return tuple(task for model in self.models for task in model.tasks)

    def rows(self) -> Iterator[Row]:
        """Yields the tasks by kind, in the order of the run."""
        for model in self.models:
            groups: dict[tuple[str, str, str], list[TaskEstimate]] = {}
            for task in model.tasks:
                groups.setdefault((task.kind, task.of, task.what), []).append(task)
            for (kind, of, what), tasks in groups.items():
                yield Row(model.name, kind, of, what, tuple(tasks))


def estimate_study(study: Study, progress: Progress = SILENT, options: Options | None = None) -> Estimate:
    """Estimates what a study will take: work, time, memory and disk.

    No weights are read unless a measurement is asked for (`Options.calibrate`), or the store is to be looked
    at and the fingerprint of a model isn't known (`Options.check_store`).

    Args:
        study: The study.
        progress: Receives messages and progress.
        options: How it is estimated.

    Raises:
        SequelaError: The study can't be run, or a model has not even a configuration on this machine.
    """
    options = options or Options()
    started = options.clock()
    plan = make_plan(study)
    setup = options.clock() - started
    profile = options.profile
    device = choose_device("cpu" if profile is not None else study.device)
    precision = choose_precision(study.dtype, device)
    store = open_store()
    models = [estimate_model(plan, name, precision, store, progress, options) for name in study.models]
    return Estimate(
        name=study.name,
        grid=Grid.of(plan),
        setup_seconds=setup,
        models=tuple(models),
        store=store.location,
        device="" if profile is None else profile.name,
        device_memory=None if profile is None else profile.memory,
    )
