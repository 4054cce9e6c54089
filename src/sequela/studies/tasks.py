"""The tasks of a study: what each kind of them is about.

A task is done by the worker's `StudyWorkbench`, which reads its payload. Everything that decides the output
is in the task's key, which `task_keys` computes; a payload only says where in the study the task belongs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

TrajectoryIndex = tuple[int, int | None, int]
"""A trajectory of a model: the position of its method, its sample of edits and its shuffle seed."""


class TaskKind(str, Enum):
    """The kinds of tasks; the values are `Task.kind`."""

    LOAD = "load model"
    """Loads a model, whose fingerprint is a part of all further keys; its result is the model's tasks."""
    MEASURE_UNEDITED = "measure unedited model"
    """Runs a suite on the unedited model."""
    MONITOR_UNEDITED = "monitor unedited model"
    """Measures the health of the unedited model."""
    ASK_UNEDITED = "ask unedited model"
    """Asks the unedited model for the reference answers with which edited models are compared."""
    PREPARE = "prepare method"
    """Prepares a method on a model: statistics, contexts, a network."""
    PLAN_METHOD = "plan method"
    """Returns the tasks of a method, whose keys follow from what its preparation has read."""
    EDIT = "edit"
    """Applies the edits between two checkpoints."""
    MEASURE = "measure"
    """Runs a suite at a checkpoint."""


UNSTORED = frozenset({TaskKind.LOAD.value, TaskKind.PREPARE.value, TaskKind.PLAN_METHOD.value})
"""The kinds of tasks without an output in the store, which every run does."""


@dataclass(frozen=True)
class OfModel:
    """A task about a model, or about one of its methods.

    Args:
        model: The model's name in the study.
        suite: The suite, for a measurement of the unedited model.
        method: The position of the method among the study's editors, for a preparation.
        edit_sample: The sample of edits, for what is asked about edits; None if the study has none. Like a
            shuffle seed, it doesn't count when tasks are compared.
    """

    model: str
    suite: str = ""
    method: int | None = None
    edit_sample: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Position:
    """A position on a trajectory.

    Args:
        model: The model's name in the study.
        method: The position of the method among the study's editors.
        order_seed: The shuffle seed. It doesn't count when tasks are compared: where two seeds begin with the
            same edits, one task serves both trajectories.
        edit_sample: The sample of edits; None if the study has none. It doesn't count either.
        n_edits: The number of edits.
    """

    model: str
    method: int
    order_seed: int = field(compare=False)
    n_edits: int
    edit_sample: int | None = field(default=None, compare=False)

    @property
    def trajectory(self) -> TrajectoryIndex:
        """The trajectory of the model."""
        return self.method, self.edit_sample, self.order_seed


@dataclass(frozen=True)
class EditTask:
    """The edits between two checkpoints.

    Args:
        to: The position to reach.
        start: The number of edits of the checkpoint to continue from.
        before: The key of the task that makes that checkpoint; empty for the unedited model.
        reference: The key of the task that asks the unedited model.
    """

    to: Position
    start: int
    before: str
    reference: str


@dataclass(frozen=True)
class MeasureTask:
    """A suite at a checkpoint.

    Args:
        at: The position of the checkpoint.
        suite: The suite.
        checkpoint: The key of the task that makes the checkpoint.
        reference: The key of the task that asks the unedited model; empty if not needed.
    """

    at: Position
    suite: str
    checkpoint: str
    reference: str = ""
