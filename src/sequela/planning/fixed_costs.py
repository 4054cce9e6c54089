"""The fixed cost of a task: what a run takes to store its output and to write its results."""

from __future__ import annotations

import statistics
from pathlib import Path

from sequela.core.workload import Clock
from sequela.results import ItemRecord, TaskResult, result_from_items
from sequela.store import Kind, open_store
from sequela.studies.outputs import Measured, Outputs
from sequela.studies.task_keys import Output

_TRIES = 3

FEW, MANY = 10, 210
"""The numbers of item records of the small outputs that are stored."""

RESULTS_SHARE = 1.0
"""The time of writing results into the database and the items of the run, in that of the store."""


def seconds_of_a_task(folder: Path, clock: Clock) -> tuple[float, float]:
    """Returns the time to store the output of a small task and to write its results, and that of each item.

    Args:
        folder: A temporary folder on the disk of the store.
        clock: Returns the time.
    """
    outputs = Outputs(open_store(str(folder / "store")))
    few, many = (_mean_seconds(outputs, count, clock) for count in (FEW, MANY))
    return (1 + RESULTS_SHARE) * few, (1 + RESULTS_SHARE) * max(0.0, many - few) / (MANY - FEW)


def _mean_seconds(outputs: Outputs, n_items: int, clock: Clock) -> float:
    items = tuple(_item(number) for number in range(n_items))
    results: tuple[TaskResult, ...] = (result_from_items(items),)
    measured = Measured(model_hash="", seconds=0.0, peak_memory_bytes=None, results=results, items=items)
    seconds = []
    for number in range(_TRIES):
        output = Output(Kind.EVALUATION, {"items": n_items, "number": number})
        started = clock()
        outputs.write_measured(output, measured)
        outputs.read_measured(output.address)
        seconds.append(clock() - started)
    return statistics.fmean(seconds)


def _item(number: int) -> ItemRecord:
    return ItemRecord(
        suite="none",
        task="none",
        metric="accuracy",
        protocol="none",
        item=str(number),
        value=1.0,
        finite=True,
    )
