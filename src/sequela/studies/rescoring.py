"""Rescoring of a run's stored answers by the current rules, without running a model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sequela.core.hashing import hash_json
from sequela.evaluation.edit_quality.answer_matching import MATCHING_VERSION
from sequela.evaluation.edit_quality.measure import rescore_records as rescore_edit_records
from sequela.evaluation.lm_eval.aggregate import SCORING_VERSION, rescore_benchmark
from sequela.evaluation.lm_eval.answer_extraction import EXTRACTION_VERSION
from sequela.evaluation.lm_eval.catalog import benchmark_names, files_of
from sequela.evaluation.lm_eval.task_file import TaskFile
from sequela.evaluation.registry import split_name, suite_names
from sequela.evaluation.suites.entries import HARNESS
from sequela.evaluation.suites.refusal import NAME as REFUSAL
from sequela.evaluation.suites.refusal import rescore_records as rescore_refusal_records
from sequela.results import (
    ALARMS,
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
from sequela.studies.plugins import SCORING_KINDS, check_plugins


@dataclass(frozen=True)
class Rescored:
    """A rescored evaluation.

    Args:
        key: The key; if anything changed, its suite version marks it as rescored.
        changed: The measurements whose values changed, as pairs of the old and the new one.
    """

    key: EvaluationKey
    changed: tuple[tuple[Measurement, Measurement], ...]


@dataclass(frozen=True)
class RescoringResult:
    """The result of rescoring a run.

    Args:
        done: The rescored evaluations.
        left: The suites that were not rescored.
        reasons: Why each of them was not, in words.
    """

    done: tuple[Rescored, ...]
    left: tuple[str, ...]
    reasons: Mapping[str, str]


def rescore_run(folder: Path, task_files: Sequence[TaskFile] = ()) -> RescoringResult:
    """Rescores all stored answers of a run.

    An evaluation without any change stays as it is. A changed evaluation is added to the store with a suite
    version of its own; from then on, only the newest version is read.

    Args:
        folder: The folder of the run.
        task_files: The user's own task files that the run used.

    Raises:
        BadInputError: The run used a benchmark or metric of a package that isn't installed.
        SequelaError: There is no run, or its items can't be read.
    """
    if (folder / MANIFEST_NAME).is_file():  # rescoring needs only the stored answers, so it is optional
        check_plugins(read_manifest(folder), SCORING_KINDS, same_version=False)
    done: list[Rescored] = []
    left: dict[str, str] = {}
    with open_store(folder, upgrade=True) as store:
        baselines: dict[str, Baseline] = defaultdict(Baseline)
        # The unedited models come first, since they are the baselines of the others.
        for key in sorted(store.evaluations(), key=lambda key: key.n_edits > 0):
            stored = store.measurements(key=key)
            if not stored:
                continue
            baseline = baselines[stored[0].model]
            items = store.items(key)
            results = _rescored_results(key.suite, items, stored, task_files)
            if results is None:
                left[key.suite] = _why_left(key.suite)
                baseline.remember(stored, items)
                continue
            rescored = measurements(results, stored[0].labels, baseline)
            if stored[0].editor == UNEDITED:
                baseline.remember(rescored, _items_of(results))
                rescored = [one.model_copy(update={"baseline": one.value}) for one in rescored]
            # Hit rates depend on the requests, not on the answers.
            rescored += [one for one in stored if one.metric == HIT_RATE.name]
            done.append(_store_rescored(store, key, stored, rescored, results))
    return RescoringResult(tuple(done), tuple(left), left)


def _rescored_results(
    suite: str, items: Sequence[ItemRecord], stored: Sequence[Measurement], own: Sequence[TaskFile]
) -> list[TaskResult] | None:
    """Returns the results of a suite by the current rules; None if it has no scoring rules or is unknown."""
    if suite == REFUSAL:
        return rescore_refusal_records(items)
    if suite == EDIT_QUALITY:
        notes = {(one.task, one.metric, one.protocol): one.note for one in stored}
        return rescore_edit_records(items, notes, is_unedited=stored[0].editor == UNEDITED)
    files = (
        files_of(suite) if suite in benchmark_names() else [file for file in own if file.benchmark == suite]
    )
    return rescore_benchmark(files, items, stored) if files else None


def _why_left(suite: str) -> str:
    """Returns why a suite is not rescored, in words."""
    name, _ = split_name(suite)
    if name == HARNESS:
        return "lm-evaluation-harness scores these answers itself, while they are generated"
    if suite == ALARMS:
        return "these are measurements of the model's state, not of answers"
    if name in suite_names():
        return "its scores are not read from generated texts, or its package has no rules to read them again"
    return "no benchmark of this name is known; name its task file with --task-file if it has one"


def _store_rescored(
    store: ResultsStore,
    key: EvaluationKey,
    stored: Sequence[Measurement],
    rescored: Sequence[Measurement],
    results: Sequence[TaskResult],
) -> Rescored:
    before = {one.series: one for one in stored}
    changed = [
        (before[one.series], one)
        for one in rescored
        if one.series in before and before[one.series].value != one.value
    ]
    new = [one for one in rescored if one.series not in before]
    if changed or new:
        rules = {
            "extraction": EXTRACTION_VERSION,
            "matching": MATCHING_VERSION,
            "scoring": SCORING_VERSION,
            "of": key.suite_version,
        }
        values = [(one.series, one.value) for one in rescored]
        key = key.model_copy(update={"suite_version": f"rescored-{hash_json({**rules, 'values': values})}"})
        store.write_evaluation(key, rescored, _items_of(results))
    return Rescored(key, tuple(changed))


def _items_of(results: Sequence[TaskResult]) -> list[ItemRecord]:
    """Returns the items of results without duplicates; effective edits are counted on those of efficacy."""
    return [item for result in results for item in result.items if item.metric == result.metric]
