"""Accuracy over the items that were answered, beside accuracy over all items."""

from __future__ import annotations

from collections.abc import Iterable

from sequela.results.metrics import ACCURACY, ACCURACY_ANSWERED
from sequela.results.task_result import TaskResult, result_from_items


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
    emptied = {"metric": ACCURACY_ANSWERED.name, "prompt": "", "answer": "", "expected": "", "details": {}}
    note = f"{len(items)} of {len(result.items)} items were answered"
    of_answered = result_from_items([item.model_copy(update=emptied) for item in items], note)
    yield of_answered.model_copy(
        update={"form": result.form, "group": result.group, "subtask": result.subtask}
    )
