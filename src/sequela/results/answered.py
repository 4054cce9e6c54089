"""Scores over the items that were answered, beside the scores over all items."""

from __future__ import annotations

from collections.abc import Iterable

from sequela.results.metrics import ACCURACY
from sequela.results.task_result import TaskResult, result_from_items

_ENDING = "_answered"


def answered_metric(metric: str) -> str:
    """Returns the name of a metric over the items that were answered, such as `accuracy_answered`."""
    return f"{metric}{_ENDING}"


def metric_of_all(metric: str) -> str:
    """Returns the name of the same metric over all items; that of another metric is unchanged."""
    return metric.removesuffix(_ENDING)


def answered_note(n: int, n_all: int) -> str:
    """Returns the note on a score over the items that were answered."""
    return f"{n} of {n_all} items were answered"


def with_answered_accuracy(results: Iterable[TaskResult]) -> list[TaskResult]:
    """Returns results and, at the end, `accuracy_answered` for each accuracy that covers unanswered items.

    An item that is too long or failed counts as wrong in `accuracy`, as in lm-evaluation-harness; the model
    was not asked, so it says nothing about an ability. If all items were answered, the two are the same.
    """
    found = list(results)
    return [*found, *(one for result in found for one in _answered(result))]


def _answered(result: TaskResult) -> Iterable[TaskResult]:
    items = [item for item in result.items if item.answered]
    if result.metric != ACCURACY.name or not items or len(items) == len(result.items):
        return
    emptied = {
        "metric": answered_metric(result.metric),
        "prompt": "",
        "answer": "",
        "expected": "",
        "details": {},
    }
    note = answered_note(len(items), len(result.items))
    of_answered = result_from_items([item.model_copy(update=emptied) for item in items], note)
    yield of_answered.model_copy(
        update={"form": result.form, "group": result.group, "subtask": result.subtask}
    )
