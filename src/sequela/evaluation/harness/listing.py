"""What `sequela tasks` tells of the benchmarks, found without importing the harness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

from sequela.evaluation.description import SuiteDescription
from sequela.evaluation.harness.catalog import parts_of
from sequela.evaluation.harness.definitions import read_definition
from sequela.evaluation.harness.local_data import Row, local_path, missing_locally, read_local
from sequela.evaluation.harness.task_file import SUBJECT, TaskFile, task_files

HATEFUL_ABOVE = 5.5
"""The sum of ToxiGen's two ratings above which a statement counts as hateful."""

TEST_SPLITS = ("test", "validation")


def describe_benchmarks() -> tuple[SuiteDescription, ...]:
    """The benchmarks, each protocol apart."""
    return tuple(_describe(file) for file in task_files())


def _describe(file: TaskFile) -> SuiteDescription:
    rows = _local_rows(file.benchmark, parts_of(file)) if local_path(file.benchmark) else None
    constants = {} if rows is None or file.protocol == "answers" else _constants(file, rows)
    part = parts_of(file)[0] if file.has_parts else ""
    hub = read_definition(file.include.replace(SUBJECT, part))["dataset_path"]
    return SuiteDescription(
        name=file.benchmark,
        task=f"{file.name}@{file.version}",
        protocol=file.protocol,
        what=file.what,
        metrics=file.metrics,
        shots=file.shots,
        items=file.official_items,
        here=None if rows is None else len(rows),
        chance=_chance(file, rows),
        constants=constants,
        data=f"SEQUELA_DATA, else {hub} on the hub",
        missing=missing_locally(file.benchmark),
    )


@cache
def _local_rows(benchmark: str, parts: tuple[str, ...]) -> list[Row]:
    rows: list[Row] = []
    for part in parts or ("",):
        splits = read_local(benchmark, part).splits
        rows += next(splits[name] for name in TEST_SPLITS if name in splits)
    return rows


def _chance(file: TaskFile, rows: Sequence[Row] | None) -> float | None:
    """The expected score of guessing; TruthfulQA's follows from its items, so it needs them."""
    if file.chance is not None or file.benchmark != "truthfulqa" or not rows:
        return file.chance
    targets = f"{file.name.removeprefix('truthfulqa_')}_targets"
    shares: list[float] = [sum(row[targets]["labels"]) / len(row[targets]["labels"]) for row in rows]
    return sum(shares) / len(shares)


def _constants(file: TaskFile, rows: Sequence[Row]) -> Mapping[str, float]:
    if file.name == "truthfulqa_mc1":
        targets = [row["mc1_targets"] for row in rows]
        shortest = [one["labels"][one["choices"].index(min(one["choices"], key=len))] for one in targets]
        return {"the shortest choice": sum(shortest) / len(shortest)}
    if file.benchmark == "mmlu":
        answers = ["ABCD"[row["answer"]] for row in rows]
    elif file.benchmark == "commonsenseqa":
        answers = [row["answerKey"] for row in rows]
    elif file.benchmark == "toxigen":
        sums = [row["toxicity_ai"] + row["toxicity_human"] for row in rows]
        answers = ["Yes" if total > HATEFUL_ABOVE else "No" for total in sums]
    else:
        return {}
    return {answer: count / len(answers) for answer, count in sorted(Counter(answers).items())}
