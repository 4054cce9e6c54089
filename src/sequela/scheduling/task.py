"""A task, what it requires of a worker, and the place that it shares with others."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sequela.core.wording import size_in_words

Place = tuple[str, ...]
"""The things that tasks share in a worker's memory, from general to specific: a model, a trajectory."""


@dataclass(frozen=True)
class Resources:
    """The resources that a task requires, or that a worker has.

    Args:
        memory: Memory in bytes; `math.inf` for a worker without a limit.
        gpus: The number of GPUs, or the share of one.
    """

    memory: float = 0
    gpus: float = 0

    def __post_init__(self) -> None:
        if not (self.memory >= 0 and self.gpus >= 0):
            raise ValueError(f"resources can't be below zero: {self}")

    def fit_in(self, capacity: Resources) -> bool:
        """Returns whether a worker with these resources can do a task that requires those of `self`."""
        return self.memory <= capacity.memory and self.gpus <= capacity.gpus

    def __str__(self) -> str:
        memory = f"{size_in_words(self.memory)} of memory"
        return f"{memory} and {self.gpus:g} GPU{'' if self.gpus == 1 else 's'}" if self.gpus else memory


UNLIMITED = Resources(memory=math.inf)
"""The resources of a worker without a limit of memory, and without a GPU."""


@dataclass(frozen=True)
class Task:
    """A piece of work whose output is a pure function of its key.

    Equal tasks are one. The label and the weight only describe a task: tasks that differ in nothing else are
    equal.

    Args:
        key: The content hash of everything that decides the output; the output's address in the store.
        kind: What is done, such as `edit`; the workbench chooses its function by it.
        label: The task in words, for progress and messages: `edits 1 to 10 of memit on smollm2`.
        needs: The keys of the tasks whose outputs it reads.
        place: What it shares in a worker's memory with other tasks; empty if nothing.
        weight: Its expected size relative to other tasks, such as seconds; decides the order and estimates.
        resources: What a worker must have.
        payload: What the workbench needs to do the task; compared by `==`, and pickled for other processes.
        is_result: Whether its output is a result of the run by itself, so that it is made even if all that
            reads it is stored.

    Raises:
        ValueError: The key is empty, or the weight is negative or not finite.
    """

    key: str
    kind: str
    label: str = field(compare=False)
    needs: tuple[str, ...] = ()
    place: Place = ()
    weight: float = field(default=1.0, compare=False)
    resources: Resources = Resources()
    payload: object = field(default=None, hash=False)
    is_result: bool = False

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError(f"the key of the task {self.label!r} is empty")
        if not (self.weight >= 0 and math.isfinite(self.weight)):
            raise ValueError(f"the weight of the task {self.label!r} is {self.weight}")
