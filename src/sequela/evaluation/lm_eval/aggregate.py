"""Aggregates the records of a benchmark to its results, after a run or again from stored records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sequela.evaluation.lm_eval import choice_scoring, generation_scoring
from sequela.evaluation.lm_eval.guessing import Guessing, guessing_of, pooled
from sequela.evaluation.lm_eval.item_records import joined, without_counts
from sequela.evaluation.lm_eval.task_file import TaskFile
from sequela.results import ItemRecord, Measurement, TaskResult, with_answered_accuracy
from sequela.results.metrics import (
    ACCURACY,
    ACCURACY_PER_BYTE,
    AUROC,
    BALANCED_ACCURACY,
    SHARE_YES,
    TRUE_PROBABILITY,
)

SCORING_VERSION = 3
"""Raised when the same answers get other scores, unless `answer_extraction.py` is the cause."""


def benchmark_results(
    file: TaskFile,
    records: Mapping[str, Sequence[ItemRecord]],
    subtasks: Mapping[str, str],
    notes: Mapping[str, str],
    group: str = "",
) -> list[TaskResult]:
    """Returns all results of a benchmark under one protocol.

    Args:
        file: The benchmark.
        records: The scored records of its tasks, by the task's name; one task unless it has subtasks.
        subtasks: The subtask of the benchmark that each task covers; empty for one without subtasks.
        notes: The notes on each task, and on the group.
        group: The name of the group, if the benchmark has subtasks. Its results are means over all items, so
            that subtasks are weighted by their numbers of items.
    """
    guessing = {task: guessing_of(members, file.chance) for task, members in records.items()}
    if not group:
        ((task, members),) = records.items()
        of_task = _all(file, members, notes[task], guessing[task])
        return with_answered_accuracy(_in_group(one, file, "") for one in of_task)
    together = [_as_group_item(record, group) for members in records.values() for record in members]
    of_group = [
        _without_details(one) for one in _all(file, together, notes[group], pooled([*guessing.values()]))
    ]
    of_subtasks = [
        _in_group(_first(file, members, notes[task], guessing[task]), file, subtasks[task])
        for task, members in records.items()
    ]
    return with_answered_accuracy([*(_in_group(one, file, "") for one in of_group), *of_subtasks])


def rescore_benchmark(
    files: Sequence[TaskFile], items: Sequence[ItemRecord], measured: Sequence[Measurement]
) -> list[TaskResult]:
    """Scores stored answers again with the current rules, without running a model.

    Args:
        files: The benchmark's task files.
        items: The records of an evaluation.
        measured: Its measurements, for their notes, groups and subtasks.
    """
    results: list[TaskResult] = []
    for file in files:
        first = file.reported_metrics[0]
        known = [one for one in measured if (one.group, one.protocol) == (file.name, file.protocol)]
        # The first metric's note has the fewest counts to remove: none is about one metric only.
        notes = {one.task: without_counts(one.note) for one in reversed(known)}
        notes |= {one.task: without_counts(one.note) for one in known if one.metric == first}
        subtasks = {one.task: one.subtask for one in known}
        records: dict[str, list[ItemRecord]] = defaultdict(list)
        for item in items:
            if item.protocol == file.protocol and holds_answer(item) and item.task in subtasks:
                records[item.task].append(rescore_record(file, item))
        if not records:
            continue
        group = (
            next((task for task, subtask in subtasks.items() if not subtask), "") if file.has_subtasks else ""
        )
        results += benchmark_results(file, records, subtasks, notes, group)
    return results


def rescore_record(file: TaskFile, record: ItemRecord) -> ItemRecord:
    """Scores a record again from its stored answer or log-probabilities."""
    if file.protocol == "generation":
        return generation_scoring.score_generation_item(record, file.readings)
    return choice_scoring.score_choices_item(record)


def holds_answer(record: ItemRecord) -> bool:
    """Returns whether a record contains the model's answer, and isn't derived for another metric."""
    return "prompt_hash" in record.details


def _all(file: TaskFile, records: Sequence[ItemRecord], note: str, guessing: Guessing) -> list[TaskResult]:
    if file.protocol == "generation":
        return generation_scoring.generation_results(records, note, file.chance, guessing)
    return [_of_metric(metric, file, records, note) for metric in file.reported_metrics]


def _first(file: TaskFile, records: Sequence[ItemRecord], note: str, guessing: Guessing) -> TaskResult:
    """Returns the result of the primary metric, whose records contain the answers."""
    if file.protocol == "generation":
        return generation_scoring.accuracy(records, note, file.chance, guessing)
    return _of_metric(file.reported_metrics[0], file, records, note)


def _of_metric(metric: str, file: TaskFile, records: Sequence[ItemRecord], note: str) -> TaskResult:
    """Returns the result of one of `CHOICE_METRICS`."""
    if metric == ACCURACY.name:
        return choice_scoring.accuracy(records, note, file.chance)
    if metric == ACCURACY_PER_BYTE.name:
        return choice_scoring.accuracy_per_byte(records, note, file.chance)
    if metric == SHARE_YES.name:
        return choice_scoring.share_of_answer(records, "Yes", metric, note)
    of_records = {
        TRUE_PROBABILITY.name: choice_scoring.true_probability,
        BALANCED_ACCURACY.name: choice_scoring.balanced_accuracy,
        AUROC.name: choice_scoring.auroc,
    }
    return of_records[metric](records, note)


def _in_group(result: TaskResult, file: TaskFile, subtask: str) -> TaskResult:
    return result.model_copy(update={"group": file.name, "subtask": subtask})


def _as_group_item(record: ItemRecord, group: str) -> ItemRecord:
    return record.model_copy(update={"task": group, "item": f"{record.task}/{record.item}"})


def _without_details(result: TaskResult) -> TaskResult:
    """Removes prompts and answers from a group's records; the subtasks' records contain them."""
    stripped = tuple(choice_scoring.derived(item, item.metric, item.value) for item in result.items)
    return result.model_copy(update={"items": stripped})


def group_note(n_subtasks: int, n_all: int, limit: int | None, shots: int) -> str:
    """Returns the note on a group's score."""
    parts = f"{n_subtasks} of {n_all} subjects" if n_subtasks < n_all else "all subjects"
    return joined(f"{shots}-shot", parts, f"the first {limit} items of each" if limit else "")
