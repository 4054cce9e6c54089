"""The workers that do the tasks of a study: this process, several of this machine, or a Ray cluster's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sequela.core.errors import BadInputError
from sequela.core.processor import current_load
from sequela.scheduling import (
    UNLIMITED,
    Executor,
    InlineExecutor,
    ProcessExecutor,
    RayExecutor,
    Resources,
    WorkbenchFactory,
    numbered_workers,
)

ExecutorName = Literal["local", "ray"]

PASSED_ON = ("SEQUELA_", "HF_", "TRANSFORMERS_")
"""The beginnings of the names of variables that workers on other machines get: stores, caches, the hub."""

NOT_PASSED_ON = ("DATABASE", "TOKEN", "PASSWORD", "SECRET")
"""Parts of the names of variables that workers don't get: whoever connects to a Ray cluster can read them."""


@dataclass(frozen=True)
class Workers:
    """The workers of a run. Results don't depend on them.

    Args:
        count: Their number. One local worker is this process itself; several share the processor's cores.
        executor: `local` for this machine, `ray` for a Ray cluster.
        address: The address of the Ray cluster; None starts one on this machine.
        cpus: The CPUs that each worker requests from a Ray cluster, and so the number of its threads.

    Raises:
        BadInputError: A number is below one, or an address is given without Ray.
    """

    count: int = 1
    executor: ExecutorName = "local"
    address: str | None = None
    cpus: int = 1

    def __post_init__(self) -> None:
        if self.count < 1:
            raise BadInputError(f"{self.count} workers can do nothing.", hint="Give a number from 1 on.")
        if self.cpus < 1:
            raise BadInputError(
                f"A worker with {self.cpus} CPUs can do nothing.", hint="Give a number from 1 on."
            )
        if self.address is not None and not self.are_elsewhere:
            raise BadInputError(
                f"The address {self.address!r} is of a Ray cluster, but the executor is {self.executor}.",
                hint="Add --executor ray.",
            )

    @property
    def are_elsewhere(self) -> bool:
        """True if they may be on other machines."""
        return self.executor == "ray"

    def make(
        self,
        here: WorkbenchFactory,
        elsewhere: WorkbenchFactory,
        device: str = "cpu",
        memory: int | None = None,
    ) -> Executor:
        """Returns the executor.

        Args:
            here: Builds the workbench in this process.
            elsewhere: Builds it in another process; it can be pickled.
            device: The device of the models; each worker on a Ray cluster requests a GPU for `cuda`.
            memory: The memory in bytes that each worker requests from a Ray cluster; None for any.
        """
        if self.are_elsewhere:
            environment = {**passed_on(os.environ), "OMP_NUM_THREADS": str(self.cpus)}
            workers = numbered_workers(self.count, resources_of(device, memory), environment)
            return RayExecutor(elsewhere, workers, self.address, self.cpus)
        if self.count == 1:
            return InlineExecutor(here)
        environment = {"OMP_NUM_THREADS": str(self._threads())}
        return ProcessExecutor(elsewhere, numbered_workers(self.count, environment=environment))

    def _threads(self) -> int:
        """Returns the threads of each worker: its share of the cores that other work leaves.

        A smaller number of threads that the user has set for one process stays.
        """
        share = max(1, current_load().fair_threads // self.count)
        chosen = os.environ.get("OMP_NUM_THREADS", "")
        return min(share, int(chosen)) if chosen.isdecimal() and int(chosen) else share


def resources_of(device: str, memory: int | None) -> Resources:
    """Returns what a worker on a Ray cluster requests.

    Args:
        device: The device of the models.
        memory: The memory in bytes; None for any.
    """
    gpus = 1 if device.partition(":")[0] == "cuda" else 0
    return Resources(UNLIMITED.memory if memory is None else memory, gpus)


def passed_on(variables: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment variables that workers on other machines get, none of them a secret."""
    return {
        name: value
        for name, value in variables.items()
        if name.startswith(PASSED_ON) and not any(part in name for part in NOT_PASSED_ON)
    }


THIS_PROCESS = Workers()
"""One worker: this process."""
