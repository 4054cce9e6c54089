"""The tasks of a run by the cells that they belong to."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from sequela.scheduling import Task
from sequela.studies.model_tasks import LoadedModel, PlannedMethod
from sequela.studies.run_requests import Cell
from sequela.studies.tasks import EditTask, MeasureTask, OfModel


@dataclass(frozen=True)
class _Trajectory:
    model: str
    method: int
    name: str
    label: str
    sample: int | None
    seed: int

    def is_in(self, cell: Cell) -> bool:
        is_method = cell.editor in (self.name, self.label)
        is_order = cell.sample in (None, self.sample) and cell.seed in (None, self.seed)
        return cell.model == self.model and is_method and is_order


class CellTasks:
    """Knows which tasks belong to which trajectories. Any thread may ask while another one adds tasks."""

    def __init__(self) -> None:
        self._trajectories: list[_Trajectory] = []
        self._of_task: dict[str, set[_Trajectory]] = defaultdict(set)
        self._lock = threading.Lock()

    def add(self, result: object) -> None:
        """Adds the tasks that follow from a task's result."""
        if isinstance(result, LoadedModel | PlannedMethod):
            with self._lock:
                if isinstance(result, LoadedModel):
                    self._trajectories += [
                        _Trajectory(result.name, method, facts.labels.editor, facts.label, sample, seed)
                        for (method, sample, seed), facts in result.trajectories.items()
                    ]
                for task in result.tasks:
                    self._of_task[task.key].update(self._trajectories_of(task))

    @property
    def keys(self) -> Collection[str]:
        """The keys of all tasks."""
        with self._lock:
            return [*self._of_task]

    def in_cells(self, cells: Sequence[Cell]) -> Collection[str]:
        """Returns the keys of the tasks all of whose trajectories are in given cells."""
        with self._lock:
            canceled = {one for one in self._trajectories if any(map(one.is_in, cells))}
            return [key for key, of in self._of_task.items() if of and of <= canceled]

    def _trajectories_of(self, task: Task) -> Iterator[_Trajectory]:
        """Yields the trajectories of a task; those of a preparation are all of its method."""
        payload = task.payload
        if isinstance(payload, OfModel):
            model, method, order = payload.model, payload.method, None
        elif isinstance(payload, EditTask | MeasureTask):
            at = payload.to if isinstance(payload, EditTask) else payload.at
            model, method, order = at.model, at.method, (at.edit_sample, at.order_seed)
        else:
            return
        for one in self._trajectories:
            is_method = (one.model, one.method) == (model, method)
            if is_method and order in (None, (one.sample, one.seed)):
                yield one
