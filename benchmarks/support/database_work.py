"""The work of the processes of `benchmarks/database.py`, for a time or for a number of rounds."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sequela.core.errors import SequelaError
from sequela.results import CostRecord, EditRecord, EvaluationKey, ItemRecord, Measurement, open_store

LABELS = {"model": "m", "editor": "rome", "edit_source": "builtin", "order_seed": 0, "n_edits": 5}
NAMES = {"suite": "s", "task": "t", "metric": "accuracy", "protocol": "generation"}


@dataclass
class Done:
    """The work of a process.

    Args:
        number: The number of the process.
        evaluations: The evaluations that it wrote.
        edits: The edits that it wrote.
        costs: The costs that it wrote.
        refused: Evaluations that were there already, as they should have been.
        seconds: The time of each transaction, or of each reading.
    """

    number: int
    evaluations: int = 0
    edits: int = 0
    costs: int = 0
    refused: int = 0
    seconds: list[float] = field(default_factory=list)


def key_of(number: int, count: int) -> EvaluationKey:
    """Returns the key of an evaluation of a writer."""
    return EvaluationKey(
        trajectory=f"t{number}", n_edits=5, suite="s", suite_version="1", model_hash=f"{count}"
    )


def write_for(folder: Path, number: int, seconds: float, rounds: int | None = None) -> Done:
    """Writes evaluations, edits and costs for a time.

    Args:
        folder: The folder of the run.
        number: The number of the writer.
        seconds: The time.
        rounds: The number of rounds, instead of the time.
    """
    done = Done(number)
    with open_store(folder) as store:
        for count in _counted(seconds, rounds):
            value = number + count / 1000
            measured = Measurement.model_validate(
                {**LABELS, **NAMES, "value": value, "n": 3, "baseline": 0.5}
            )
            items = [
                ItemRecord.model_validate({**NAMES, "item": str(i), "value": value, "prompt": "p" * 200})
                for i in range(3)
            ]
            cost = CostRecord(step="edit", seconds=value, trajectory=f"t{number}", n_edits=count)
            with _timed(done):
                store.write_evaluation(key_of(number, count), [measured], items)
            with _timed(done):
                store.write_edit_records([_edit(number, count)])
            with _timed(done):
                store.write_cost(cost)
            done.evaluations, done.edits, done.costs = count + 1, count + 1, count + 1
            if count % 10 == 9 and store.has(key_of(0, count)):
                try:
                    store.write_evaluation(key_of(0, count), [measured], items)
                except SequelaError:
                    done.refused += 1
    return done


def read_for(folder: Path, number: int, seconds: float, rounds: int | None = None) -> Done:
    """Reads everything again and again for a time; what was there must still be there.

    Args:
        folder: The folder of the run.
        number: The number of the reader.
        seconds: The time.
        rounds: The number of rounds, instead of the time.

    Raises:
        RuntimeError: Something is missing.
    """
    done, seen = Done(number), Counter[str]()
    with open_store(folder) as store:
        for _ in _counted(seconds, rounds):
            with _timed(done):
                keys = store.evaluations()
                found = Counter(
                    evaluations=len(keys),
                    measurements=len(store.measurements()),
                    edits=len(store.edit_records()),
                    costs=len(store.costs()),
                )
                if keys and len(store.items(keys[-1])) != 3:
                    raise RuntimeError(f"Items of {keys[-1]} are missing.")
            if seen - found or found["measurements"] < found["evaluations"]:
                raise RuntimeError(f"Rows are missing: first {seen}, then {found}.")
            seen = found
    return done


def check_all(folder: Path, written: Sequence[Done]) -> None:
    """Checks that everything that was written is there once, and whole.

    Raises:
        RuntimeError: It is not.
    """
    with open_store(folder) as store:
        problems = [one.sentence for one in store.damage()]
        keys = Counter(store.evaluations())
        expected = Counter(key_of(one.number, count) for one in written for count in range(one.evaluations))
        values = Counter((one.value, one.n) for one in store.measurements())
        edits = Counter((one.trajectory, one.position) for one in store.edit_records())
        costs = Counter((one.trajectory, one.n_edits) for one in store.costs())
        if keys != expected or sum(values.values()) != sum(expected.values()):
            problems.append("evaluations are missing or doubled")
        if edits != Counter((f"t{one.number}", at + 1) for one in written for at in range(one.edits)):
            problems.append("edits are missing or doubled")
        if costs != Counter((f"t{one.number}", at) for one in written for at in range(one.costs)):
            problems.append("costs are missing or doubled")
        for key in keys:
            if len(store.items(key)) != 3:
                problems.append(f"{key} has other items")
    if problems:
        raise RuntimeError("; ".join(problems))


def _edit(number: int, count: int) -> EditRecord:
    return EditRecord(
        trajectory=f"t{number}",
        model="m",
        editor="rome",
        edit_source="builtin",
        order_seed=0,
        edit_id=f"e{count}",
        position=count + 1,
        batch=1,
        prompt="p" * 200,
        target_new="x",
        seconds=1.0,
        optimization_steps=1,
        first_loss=1.0,
        final_loss=0.5,
        relative_norm=0.1,
    )


@contextmanager
def _timed(done: Done) -> Iterator[None]:
    started = time.perf_counter()
    yield
    done.seconds.append(time.perf_counter() - started)


def _counted(seconds: float, rounds: int | None) -> Iterator[int]:
    """Yields the numbers of rounds from 0."""
    end, count = time.monotonic() + seconds, 0
    while count < rounds if rounds is not None else time.monotonic() < end:
        yield count
        count += 1
