"""Scoring a run's stored answers again, by today's rules, without any model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sequela.core.hashing import hash_json
from sequela.evaluation.edit_quality.measure import rescore_records as rescore_edit_records
from sequela.evaluation.lm_eval.aggregate import SCORING_VERSION, rescore_benchmark
from sequela.evaluation.lm_eval.answer_extraction import EXTRACTION_VERSION
from sequela.evaluation.lm_eval.catalog import benchmark_names, files_of
from sequela.evaluation.lm_eval.task_file import TaskFile
from sequela.evaluation.suites.refusal import NAME as REFUSAL
from sequela.evaluation.suites.refusal import rescore_records as rescore_refusal_records
from sequela.results import (
    EDIT_QUALITY,
    UNEDITED,
    EvaluationKey,
    ItemRecord,
    Measurement,
    ResultsStore,
    TaskResult,
    open_store,
    read_manifest,
)
from sequela.results.manifest import MANIFEST_NAME
from sequela.results.metrics import HIT_RATE
from sequela.studies.baseline import Baseline, measurements
from sequela.studies.plugins import ANSWERS, check_plugins


@dataclass(frozen=True)
class Rescored:
    """One evaluation, scored again.

    Args:
        key: Which; its version tells that it was scored again.
        changed: The measurements whose value is another one now: before, and after.
    """

    key: EvaluationKey
    changed: tuple[tuple[Measurement, Measurement], ...]


@dataclass(frozen=True)
class RescoringResult:
    """What came of a run's rescoring.

    Args:
        done: The evaluations that were scored again.
        left: The suites whose answers aren't scored by rules that could change, or aren't known here.
    """

    done: tuple[Rescored, ...]
    left: tuple[str, ...]


def rescore_run(folder: Path, task_files: Sequence[TaskFile] = ()) -> RescoringResult:
    """Scores all stored answers of a run again.

    An evaluation in which nothing changes is left as it is. One in which something does is written anew,
    beside the old one, under a version of its own; the newest is what is read from then on.

    Args:
        folder: The run.
        task_files: Task files of the user's own that the run had.

    Raises:
        BadInputError: The run used a benchmark or metric of a package that isn't installed.
        SequelaError: There is no run, or items that can't be read.
    """
    if (folder / MANIFEST_NAME).is_file():  # the stored answers are enough, where nothing says more
        check_plugins(read_manifest(folder), ANSWERS, same_version=False)
    done: list[Rescored] = []
    left: dict[str, None] = {}
    with open_store(folder) as store:
        baselines: dict[str, Baseline] = defaultdict(Baseline)
        # The unedited models first: the others are compared with them.
        for key in sorted(store.evaluations(), key=lambda key: key.n_edits > 0):
            stored = store.measurements(key=key)
            if not stored:
                continue
            baseline = baselines[stored[0].model]
            items = store.items(key)
            found = _found(key.suite, items, stored, task_files)
            if found is None:
                left[key.suite] = None
                baseline.remember(stored, items)
                continue
            again = measurements(found, stored[0].labels, baseline)
            if stored[0].editor == UNEDITED:
                baseline.remember(again, _items_of(found))
                again = [one.model_copy(update={"baseline": one.value}) for one in again]
            again += [one for one in stored if one.metric == HIT_RATE.name]  # of the requests, not of answers
            done.append(_store_rescored(store, key, stored, again, found))
    return RescoringResult(tuple(done), tuple(left))


def _found(
    suite: str, items: Sequence[ItemRecord], stored: Sequence[Measurement], own: Sequence[TaskFile]
) -> list[TaskResult] | None:
    if suite == REFUSAL:
        return rescore_refusal_records(items)
    if suite == EDIT_QUALITY:
        return rescore_edit_records(items, {one.task: one.note for one in stored})
    files = (
        files_of(suite) if suite in benchmark_names() else [file for file in own if file.benchmark == suite]
    )
    return rescore_benchmark(files, items, stored) if files else None


def _store_rescored(
    store: ResultsStore,
    key: EvaluationKey,
    stored: Sequence[Measurement],
    again: Sequence[Measurement],
    found: Sequence[TaskResult],
) -> Rescored:
    before = {one.series: one for one in stored}
    changed = [
        (before[one.series], one)
        for one in again
        if one.series in before and before[one.series].value != one.value
    ]
    new = [one for one in again if one.series not in before]
    if changed or new:
        rules = {"extraction": EXTRACTION_VERSION, "scoring": SCORING_VERSION, "of": key.suite_version}
        values = [(one.series, one.value) for one in again]
        key = key.model_copy(update={"suite_version": f"rescored-{hash_json({**rules, 'values': values})}"})
        store.write_evaluation(key, again, _items_of(found))
    return Rescored(key, tuple(changed))


def _items_of(found: Sequence[TaskResult]) -> list[ItemRecord]:
    """The records behind findings, each once: the count of effective edits has those of efficacy."""
    return [item for result in found for item in result.items if item.metric == result.metric]
