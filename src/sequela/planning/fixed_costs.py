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


def seconds_of_a_task(folder: Path, clock: Clock) -> float:
    """Returns the time to store the output of a small task and to read it back for the results.

    Args:
        folder: A temporary folder on the disk of the store.
        clock: Returns the time.
    """
    outputs = Outputs(open_store(str(folder / "store")))
    items = tuple(_item(number) for number in range(10))
    results: tuple[TaskResult, ...] = (result_from_items(items),)
    measured = Measured(model_hash="", seconds=0.0, peak_memory_bytes=None, results=results, items=items)
    seconds = []
    for number in range(_TRIES):
        output = Output(Kind.EVALUATION, {"task": number})
        started = clock()
        outputs.write_measured(output, measured)
        outputs.read_measured(output.address)
        seconds.append(clock() - started)
    return (1 + RESULTS_SHARE) * statistics.fmean(seconds)


RESULTS_SHARE = 1.5
"""The time of writing results into the database and the items of the run, in that of the store."""


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
