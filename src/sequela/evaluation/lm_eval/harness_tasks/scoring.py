"""Aggregates outcomes of the harness's tasks to results, with the harness's names of metrics and filters.

A metric's value is the one the harness computes. If items were too long or failed, the same metric over the
others stands beside it (`acc_answered`). Its standard error is that of the mean if the metric is a
mean over items, and otherwise the jackknife estimate over the items.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from lm_eval.api.registry import get_aggregation
from lm_eval.api.task import Task

from sequela.evaluation.lm_eval.choice_scoring import derived
from sequela.evaluation.lm_eval.harness_tasks.items import answer_form, counts_answers, item_record
from sequela.evaluation.lm_eval.harness_tasks.running import ItemOutcome
from sequela.evaluation.lm_eval.item_records import joined
from sequela.results import (
    ItemRecord,
    TaskResult,
    answered_metric,
    answered_note,
    invalid_items_note,
    mean_and_stderr,
    result_like,
)

NO_FILTER = "none"
"""The harness's name of the filter for tasks without filters."""

SCORING_VERSION = 1
"""Raised when the same answers get other scores."""

_MOST_GROUPS = 100
"""The maximum number of groups of items in a jackknife."""

Aggregate = Callable[[Sequence[Any]], float]
TaskMetrics = dict[str, Any]
"""Values, standard errors and the number of items of a task, in the format of the harness's groups."""


class TaskScores:
    """The metrics of one task.

    Args:
        suite: The suite's name.
        label: The task's name in results.
        task: The harness's task.
        outcomes: Its items with their answers.
        note: The note on the task.
        truncated: The prompts that were truncated.
    """

    def __init__(
        self,
        suite: str,
        label: str,
        task: Task,
        outcomes: Sequence[ItemOutcome],
        note: str,
        truncated: frozenset[str],
    ) -> None:
        self.note = note
        self.task = task
        self.results: list[TaskResult] = []
        self.answered: list[TaskResult] = []
        self.for_groups: TaskMetrics = {"sample_len": 0}
        self.for_groups_answered: TaskMetrics = {"sample_len": 0}
        self.protocols: dict[str, str] = {}
        for metric, filter_name in _metrics_of(task, outcomes):
            scored = [one for one in outcomes if one.filter_name == filter_name]
            if any(metric in one.metrics for one in scored):
                protocol = _protocol(task, filter_name)
                records = [
                    item_record(suite, label, protocol, metric, one, task, truncated) for one in scored
                ]
                self._add(metric, filter_name, scored, records)

    def _add(
        self, metric: str, filter_name: str, outcomes: Sequence[ItemOutcome], records: list[ItemRecord]
    ) -> None:
        aggregate = self.task.aggregation().get(metric) or get_aggregation("mean")
        numbers = all(
            isinstance(one.metrics[metric], int | float) for one in outcomes if metric in one.metrics
        )

        def score(outcomes: Sequence[ItemOutcome], records: Sequence[ItemRecord]) -> TaskResult:
            if aggregate is get_aggregation("mean") and numbers:
                return self._mean(metric, outcomes, records)
            return self._aggregated(metric, aggregate, outcomes, records)

        result = score(outcomes, records)
        self.results.append(result)
        self.protocols[f"{metric},{filter_name}"] = result.protocol
        _add_for_groups(self.for_groups, metric, filter_name, result)
        pairs = [
            (one, record)
            for one, record in zip(outcomes, records, strict=True)
            if record.answered and metric in one.metrics
        ]
        if all(item.answered for item in result.items):
            _add_for_groups(self.for_groups_answered, metric, filter_name, result)
        elif pairs:
            one = score([outcome for outcome, _ in pairs], [record for _, record in pairs])
            _add_for_groups(self.for_groups_answered, metric, filter_name, one)
            self.answered.append(_over_answered(one, result.n))

    def _mean(
        self, metric: str, outcomes: Sequence[ItemOutcome], records: Sequence[ItemRecord]
    ) -> TaskResult:
        """Returns a mean over items; an item without an answer has the value 0 if higher is better."""
        more_is_better = self.task.higher_is_better().get(metric) is not False
        items = []
        for one, record in zip(outcomes, records, strict=True):
            value = one.metrics.get(metric)
            if not one.answered and (more_is_better or value is None):
                value = 0.0
            if value is not None:  # a task may leave items out of a metric
                items.append(record.model_copy(update={"value": float(value)}))
        value, stderr = mean_and_stderr([item.value for item in items])
        return self._result(items, value, stderr)

    def _aggregated(
        self,
        metric: str,
        aggregate: Aggregate,
        outcomes: Sequence[ItemOutcome],
        records: Sequence[ItemRecord],
    ) -> TaskResult:
        """Returns the result of another aggregation; an item's value is its own aggregate, or 0."""
        pairs = [
            (one.metrics[metric], record)
            for one, record in zip(outcomes, records, strict=True)
            if metric in one.metrics
        ]
        raw = [value for value, _ in pairs]
        items = [
            record.model_copy(update={"value": aggregated(aggregate, [value]) or 0.0})
            for value, record in pairs
        ]
        return self._result(items, aggregated(aggregate, raw), jackknife_stderr(aggregate, raw), False)

    def _result(
        self, items: Sequence[ItemRecord], value: float | None, stderr: float | None, is_mean: bool = True
    ) -> TaskResult:
        """Returns a result of the task; the items of the first result have the prompts and answers.

        The first metric and those that count right answers have the distribution of the answers.
        """
        first = not self.results
        failed = "" if value is not None else "its value is not a finite number"
        return result_like(
            items[0],
            value,
            stderr,
            joined(self.note, invalid_items_note(items), failed),
            counted=items,
            items=items if first else [derived(item, item.metric, item.value) for item in items],
            form=answer_form(items, is_mean) if first or (is_mean and counts_answers(items)) else None,
        )


def _add_for_groups(scores: TaskMetrics, metric: str, filter_name: str, result: TaskResult) -> None:
    """Adds a result in the format of the harness's groups."""
    scores["sample_len"] = max(scores["sample_len"], result.n)
    scores[f"{metric},{filter_name}"] = math.nan if result.value is None else result.value
    scores[f"{metric}_stderr,{filter_name}"] = "N/A" if result.stderr is None else result.stderr


def _over_answered(result: TaskResult, n_all: int) -> TaskResult:
    """Returns a score over the items that were answered under the name of its own metric."""
    metric = answered_metric(result.metric)
    return result.model_copy(
        update={
            "metric": metric,
            "note": joined(result.note, answered_note(result.n, n_all)),
            "items": tuple(derived(item, metric, item.value) for item in result.items),
        }
    )


def group_results(
    suite: str, label: str, group: Any, members: Mapping[str, TaskScores], note: str
) -> list[TaskResult]:
    """Returns the harness's aggregates over a group's tasks; empty if the group doesn't aggregate.

    If items of a task were too long or failed, the aggregates over the others follow.

    Args:
        suite: The suite's name.
        label: The group's name in results.
        group: The harness's group.
        members: The scores of all tasks by name.
        note: The note on the group.
    """
    metrics = group.aggregate({name: scores.for_groups for name, scores in members.items()})
    names = [task.task_name for task in group.get_all_tasks()]
    unanswered = any(members[name].answered for name in names)
    of_answered = {name: scores.for_groups_answered for name, scores in members.items()}
    beside = group.aggregate(of_answered) if unanswered else {}
    aggregates, answered = list[TaskResult](), list[TaskResult]()
    for key, n in metrics.get("sample_count", {}).items():
        metric, _, filter_name = key.partition(",")
        scores = [members[name] for name in names if key in members[name].for_groups]
        protocols = {one.protocols[key] for one in scores}
        value, stderr = metrics[key], metrics[f"{metric}_stderr,{filter_name}"]
        results = [one.results[list(one.protocols).index(key)] for one in scores]
        aggregates.append(
            TaskResult(
                suite=suite,
                task=label,
                metric=metric,
                protocol=protocols.pop() if len(protocols) == 1 else filter_name,
                value=value if math.isfinite(value) else None,
                stderr=stderr if isinstance(stderr, float) and math.isfinite(stderr) else None,
                n=n,
                n_nonfinite=sum(one.n_nonfinite for one in results),
                n_too_long=sum(one.n_too_long for one in results),
                n_unfinished_thinking=sum(one.n_unfinished_thinking for one in results),
                n_failed=sum(one.n_failed for one in results),
                note=note,
            )
        )
        n_answered = beside.get("sample_count", {}).get(key, n)
        if n_answered < n:
            value, stderr = beside[key], beside[f"{metric}_stderr,{filter_name}"]
            answered.append(
                TaskResult(
                    suite=suite,
                    task=label,
                    metric=answered_metric(metric),
                    protocol=aggregates[-1].protocol,
                    value=value if math.isfinite(value) else None,
                    stderr=stderr if isinstance(stderr, float) and math.isfinite(stderr) else None,
                    n=n_answered,
                    note=joined(note, answered_note(n_answered, n)),
                )
            )
    return [*aggregates, *answered]


def aggregated(aggregate: Aggregate, values: Sequence[Any]) -> float | None:
    """Returns the aggregate of values; None if it can't be computed or is not finite."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn warns if there is only one class
            value = float(aggregate(values))
    except (ArithmeticError, ValueError, IndexError):
        return None
    return value if math.isfinite(value) else None


def jackknife_stderr(aggregate: Aggregate, values: Sequence[Any]) -> float | None:
    """Returns the jackknife standard error of an aggregate, which leaves out one group of items at a time.

    For a mean it is the standard error of the mean.

    Args:
        aggregate: The function that aggregates values.
        values: The items' values; they are split into at most 100 groups of consecutive items.

    Returns:
        The standard error; None for fewer than two items, or if one of the aggregates can't be computed.
    """
    n = min(len(values), _MOST_GROUPS)
    if n < 2:
        return None
    edges = [len(values) * i // n for i in range(n + 1)]
    without = [aggregated(aggregate, [*values[:start], *values[end:]]) for start, end in pairwise(edges)]
    known = [value for value in without if value is not None]
    if len(known) < n:
        return None
    mean = math.fsum(known) / n
    return math.sqrt((n - 1) / n * math.fsum((value - mean) ** 2 for value in known))


def _metrics_of(task: Task, outcomes: Sequence[ItemOutcome]) -> list[tuple[str, str]]:
    """Returns every metric with its filter, in the harness's order."""
    return list(dict.fromkeys((metric, one.filter_name) for one in outcomes for metric in one.metrics))


def _protocol(task: Task, filter_name: str) -> str:
    """Returns the name of the filter, or the output type of a task without filters."""
    return str(task.OUTPUT_TYPE or "mixed") if filter_name == NO_FILTER else filter_name
