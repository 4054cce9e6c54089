"""What `sequela tasks` tells of the benchmarks, found without importing the harness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from sequela.evaluation.description import SuiteDescription
from sequela.evaluation.harness.catalog import parts_of
from sequela.evaluation.harness.definitions import read_definition
from sequela.evaluation.harness.local_data import LocalData, Row, local_path, read_local
from sequela.evaluation.harness.task_file import SUBJECT, TaskFile, task_files

HATEFUL_ABOVE = 5.5
"""The sum of ToxiGen's two ratings above which a statement counts as hateful."""

TEST_SPLITS = ("test", "validation")


def describe_benchmarks() -> tuple[SuiteDescription, ...]:
    """The benchmarks, each protocol apart; the data of each are read once."""
    data = {file.benchmark: _local_data(file) for file in task_files()}
    return tuple(_describe(file, data[file.benchmark]) for file in task_files())


def _describe(file: TaskFile, data: LocalData | None) -> SuiteDescription:
    rows = None if data is None else [row for some in data.splits.values() for row in some]
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
        missing="nothing of it is in SEQUELA_DATA" if data is None else data.departure,
    )


def _local_data(file: TaskFile) -> LocalData | None:
    """The test items in the user's folder, those of all parts; None if they aren't there."""
    if local_path(file.benchmark) is None:
        return None
    read = [read_local(file.benchmark, part) for part in parts_of(file) or ("",)]
    rows = [row for one in read for name in TEST_SPLITS for row in one.splits.get(name, [])]
    return LocalData({"test": rows}, read[0].departure)


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
