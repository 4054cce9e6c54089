"""One model of a study without its weights: the tasks that a run would do, with their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property

import torch

from sequela.core.precision import Precision
from sequela.core.progress import Progress
from sequela.editors.base import Editor
from sequela.inference import Engine
from sequela.models.loading import choose_device
from sequela.models.weightless import BYTES_PER_TOKEN, WeightlessModel, weightless_model
from sequela.planning.counting import CountingEngine
from sequela.planning.methods import innermost
from sequela.scheduling import Task
from sequela.store import Store
from sequela.studies.model_tasks import ModelTasks
from sequela.studies.model_workspace import ModelWorkspace
from sequela.studies.plan import Plan
from sequela.studies.tasks import TaskKind

UNPLANNED = frozenset({TaskKind.LOAD.value, TaskKind.PLAN_METHOD.value})
"""The kinds of tasks that a plan doesn't list: loading is estimated by model, planning takes no time."""


class PlannedModel(ModelWorkspace):
    """A model of a study as far as it is known without its weights.

    Args:
        plan: The plan of the study.
        name: The model's name in the study.
        precision: The data type of the weights.
        progress: Receives messages and progress.
        on_device: The type of the device, if it isn't one of this machine.

    Raises:
        SequelaError: The model's configuration isn't here, or a method of the study can't be used with it.
    """

    def __init__(
        self, plan: Plan, name: str, precision: Precision, progress: Progress, on_device: str | None = None
    ) -> None:
        self.plan = plan
        device = torch.device(on_device) if on_device else choose_device(plan.study.device)
        self.model: WeightlessModel = weightless_model(name, precision.dtype, device)
        self.progress = progress
        self._store: Store | None = None
        self._open = ExitStack()

    @cached_property
    def engine(self) -> Engine:
        """An engine that counts."""
        return CountingEngine(self.tokens_of)

    @property
    def tokens_of(self) -> float:
        """The number of the model's tokens for one of the tokenizer at hand."""
        return 1.0 if self.model.has_tokenizer else 1.0 / BYTES_PER_TOKEN

    def inputs(self, method: int) -> Mapping[str, str]:
        """Returns nothing: what a method reads besides the model isn't read here; see `keys_are_known`."""
        return {}

    def keys_are_known(self, method: int) -> bool:
        """Returns whether the addresses of a method's outputs are known without preparing it."""
        editor = innermost(self.sessions[method].editor)
        return self.model.knows_weights and type(editor).inputs is Editor.inputs

    @cached_property
    def tasks_of_model(self) -> Sequence[Task]:
        """The tasks of the unedited model, and the preparation of each method."""
        return self._without_doubles(ModelTasks(self, f"load {self.model.name}").loaded().tasks)

    def tasks_of_method(self, method: int) -> Sequence[Task]:
        """Returns the tasks of a method's trajectories."""
        return self._without_doubles(ModelTasks(self, f"load {self.model.name}").planned(method).tasks)

    def _without_doubles(self, tasks: Sequence[Task]) -> Sequence[Task]:
        return list({task.key: task for task in tasks if task.kind not in UNPLANNED}.values())
