"""Descriptions of the benchmarks for `sequela tasks`, without importing the harness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sequela.core.errors import BadInputError
from sequela.core.registry import SEQUELA, Listed
from sequela.evaluation.lm_eval.catalog import BENCHMARK_REGISTRY, Benchmark, find_benchmark, subtasks_of
from sequela.evaluation.lm_eval.data_layout import Row
from sequela.evaluation.lm_eval.few_shot import ITEMS, read_own_rows
from sequela.evaluation.lm_eval.labeled_choices import check_labels
from sequela.evaluation.lm_eval.local_data import LocalData, local_path, read_local
from sequela.evaluation.lm_eval.sandbox.rendering import UNBUILDABLE, apply_template, template_fields
from sequela.evaluation.lm_eval.task_file import SUBJECT, TaskFile
from sequela.evaluation.lm_eval.upstream_tasks import read_definition
from sequela.evaluation.suite_description import SuiteDescription, unusable
from sequela.results.metrics import ACCURACY

TEST_SPLITS = ("test", "validation")


def describe_task_file(path: str) -> tuple[SuiteDescription, ...]:
    """Describes the benchmark of a task file of the user's own, as a check of the file and its items.

    Raises:
        BadInputError: The file is not a task file, or its items can't be read.
    """
    entries = _describe_all(Listed(path, SEQUELA, find_benchmark(path)))
    return tuple(replace(entry, origin=path) for entry in entries)


def describe_benchmarks() -> tuple[SuiteDescription, ...]:
    """Describes each protocol of each benchmark; the data of a benchmark are read once."""
    return tuple(entry for listed in BENCHMARK_REGISTRY.listed() for entry in _describe_all(listed))


def _describe_all(listed: Listed[Benchmark]) -> Iterator[SuiteDescription]:
    if listed.value is None:
        yield unusable(listed)
        return
    files, folder = listed.value.files, listed.value.folder
    try:
        data = _local_data(files[-1], folder)
    except BadInputError as error:
        if listed.origin == SEQUELA:
            raise
        yield unusable(replace(listed, problem=error.message))
        return
    for file in files:
        yield _describe(file, data, str(listed.origin))


def _describe(file: TaskFile, data: LocalData | None, origin: str) -> SuiteDescription:
    rows = None if data is None else [row for some in data.splits.values() for row in some]
    if file.targets and not file.items:
        check_labels(rows or (), [file.targets], _source(file), "targets")
    constants = {} if rows is None else constants_of(file, rows)
    return SuiteDescription(
        name=file.benchmark,
        task=f"{file.name}@{file.version}",
        protocol=file.protocol,
        what=file.what,
        metrics=file.reported_metrics,
        shots=file.shots,
        items=file.official_items,
        here=None if rows is None else len(rows),
        chance=_chance(file, rows),
        constants=constants,
        data=_source(file),
        missing="its data are not in SEQUELA_DATA" if data is None else data.departure,
        origin=origin,
    )


def _source(file: TaskFile) -> str:
    """Describes the origin of the items."""
    if file.items:
        return f"{file.items} next to the task file"
    subtask = subtasks_of(file)[0] if file.has_subtasks else ""
    hub = f"{read_definition(file.include.replace(SUBJECT, subtask))['dataset_path']} on the hub"
    return hub if file.local is None else f"SEQUELA_DATA, else {hub}"


def _local_data(file: TaskFile, folder: Path) -> LocalData | None:
    """Returns the test items on this machine, those of all subjects; None if there are none."""
    if file.items:
        upstream = read_definition(file.include) if file.include else {}
        own = read_own_rows(file, folder, upstream)
        return LocalData({"test": own.splits[ITEMS]})
    if local_path(file) is None:
        return None
    read = [read_local(file, subtask) for subtask in subtasks_of(file) or ("",)]
    rows = [row for one in read for name in TEST_SPLITS for row in one.splits.get(name, [])]
    return LocalData({"test": rows}, read[0].departure)


def _chance(file: TaskFile, rows: Sequence[Row] | None) -> float | None:
    """Returns the expected score of guessing; None if it depends on items that aren't there."""
    if file.chance is not None or not file.targets or not rows:
        return file.chance
    labels: list[list[int]] = [row[file.targets]["labels"] for row in rows]
    return sum(sum(one) / len(one) for one in labels) / len(labels)


def constants_of(file: TaskFile, rows: Sequence[Row]) -> Mapping[str, float]:
    """Returns the score of always giving one answer, by answer."""
    if file.targets and file.reported_metrics[0] == ACCURACY.name:
        targets = [row[file.targets] for row in rows]
        shortest = [one["labels"][one["choices"].index(min(one["choices"], key=len))] for one in targets]
        return {"the shortest choice": sum(shortest) / len(shortest)}
    if not file.right_answer or not rows:
        return {}
    answers: Counter[str] = Counter()
    try:
        for row, count in _alike(rows, file.right_answer):
            answers[apply_template(file.right_answer, row)] += count
    except UNBUILDABLE as error:
        raise BadInputError(
            f"The task {file.name!r}: its right_answer can't be rendered ({error})."
        ) from error
    return {answer: count / len(rows) for answer, count in sorted(answers.items())}


def _alike(rows: Sequence[Row], template: str) -> Iterator[tuple[Row, int]]:
    """Yields a row of each group for which a template renders the same text, and the group's size."""
    fields = template_fields(template)
    groups: dict[str, tuple[Row, int]] = {}
    for row in rows:
        key = repr([row.get(field) for field in fields])
        first, count = groups.get(key, (row, 0))
        groups[key] = first, count + 1
    yield from groups.values()
