"""The workers that do the tasks of a study: this process, several of this machine, or a Ray cluster's."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from sequela.core.errors import BadInputError
from sequela.core.processor import current_load
from sequela.scheduling import (
    Executor,
    InlineExecutor,
    ProcessExecutor,
    RayExecutor,
    WorkbenchFactory,
    numbered_workers,
)

ExecutorName = Literal["local", "ray"]


@dataclass(frozen=True)
class Workers:
    """The workers of a run. Results don't depend on them.

    Args:
        count: Their number. One local worker is this process itself; several share the processor's cores.
        executor: `local` for this machine, `ray` for a Ray cluster.
        address: The address of the Ray cluster; None starts one on this machine.

    Raises:
        BadInputError: The number is below one, or an address is given without Ray.
    """

    count: int = 1
    executor: ExecutorName = "local"
    address: str | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise BadInputError(f"{self.count} workers can do nothing.", hint="Give a number from 1 on.")
        if self.address is not None and self.executor != "ray":
            raise BadInputError(
                f"The address {self.address!r} is of a Ray cluster, but the executor is {self.executor}.",
                hint="Add --executor ray.",
            )

    def make(self, here: WorkbenchFactory, elsewhere: WorkbenchFactory) -> Executor:
        """Returns the executor.

        Args:
            here: Builds the workbench in this process.
            elsewhere: Builds it in another process; it can be pickled.
        """
        if self.executor == "local" and self.count == 1:
            return InlineExecutor(here)
        workers = numbered_workers(self.count, environment={"OMP_NUM_THREADS": str(self._threads())})
        if self.executor == "ray":
            return RayExecutor(elsewhere, workers, self.address)
        return ProcessExecutor(elsewhere, workers)

    def _threads(self) -> int:
        """Returns the threads of each worker: its share of the cores that other work leaves.

        A smaller number of threads that the user has set for one process stays.
        """
        share = max(1, current_load().fair_threads // self.count)
        chosen = os.environ.get("OMP_NUM_THREADS", "")
        return min(share, int(chosen)) if chosen.isdecimal() and int(chosen) else share


THIS_PROCESS = Workers()
"""One worker: this process."""
