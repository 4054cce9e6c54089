"""The scores of edits over those that were applied and asked, beside the scores over all edits.

An edit that the method or the policy for bad edits left out is no failure of an edit: the model doesn't have
it, and answers as without it. An edit whose prompts don't fit the model's context was not asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from sequela.results.item_record import ItemRecord
from sequela.results.metrics import DROPPED_EDITS
from sequela.results.names import (
    EDIT_QUALITY,
    RETENTION_AT_N,
    RETENTION_OF_APPLIED,
    SUCCESS_AT_EDIT,
    SUCCESS_OF_APPLIED,
)
from sequela.results.protocols import FROM_EDITS
from sequela.results.task_result import TaskResult, result_from_items, result_like

DROPPED = "dropped"
"""The name of the column with the reason for leaving an edit out, in the details of a record."""

OF_APPLIED: Mapping[str, str] = MappingProxyType(
    {SUCCESS_AT_EDIT: SUCCESS_OF_APPLIED, RETENTION_AT_N: RETENTION_OF_APPLIED}
)
"""The task over the edits that were applied and asked, for each task over all edits."""


def with_dropped(records: Iterable[ItemRecord], reasons: Mapping[str, str]) -> list[ItemRecord]:
    """Returns records of edits with the reason for leaving the edit out in their details, if there is one.

    Args:
        records: The records.
        reasons: The reasons by the edit's id; empty for edits that were applied.
    """
    return [
        one.model_copy(update={"details": {**one.details, DROPPED: reason}})
        if (reason := reasons.get(one.item, "")) and one.protocol != FROM_EDITS.name
        else one
        for one in records
    ]


def is_applied(record: ItemRecord) -> bool:
    """Returns whether the model has the edit of a record, or is the unedited one."""
    return not record.details.get(DROPPED)


def of_applied(result: TaskResult) -> TaskResult | None:
    """Returns a score of edits over those that were applied and asked; None if these are all.

    It has no value if there is no such edit.

    Args:
        result: The score over all edits, with its items.
    """
    items = [item for item in result.items if is_applied(item) and item.answered]
    if result.task not in OF_APPLIED or len(items) == len(result.items):
        return None
    task, n = OF_APPLIED[result.task], len(result.items)
    n_dropped = sum(not is_applied(item) for item in result.items)
    dropped = f"{n - n_dropped} of {n} edits were applied" if n_dropped else ""
    n_asked = n - n_dropped - len(items)
    unasked = f"{n_asked} were not asked, being longer than the model's context" if n_asked else ""
    note = "; ".join(part for part in (dropped, unasked) if part)
    renamed = [item.model_copy(update={"task": task}) for item in items]
    if not renamed:
        return result_like(result.items[0].model_copy(update={"task": task}), None, note=note)
    return result_from_items(renamed, note)


def count_dropped(records: Iterable[ItemRecord]) -> list[TaskResult]:
    """Returns the number of edits that were not applied, by task; n is the number of all edits of the task.

    Args:
        records: The records of edits; a task without dropped edits has no count.
    """
    edits: dict[str, dict[str, bool]] = {}
    for one in records:
        edits.setdefault(one.task, {})[one.item] = is_applied(one)
    return [
        TaskResult(
            suite=EDIT_QUALITY,
            task=task,
            metric=DROPPED_EDITS.name,
            protocol=FROM_EDITS.name,
            value=float(n_dropped),
            n=len(applied),
        )
        for task, applied in edits.items()
        if (n_dropped := sum(not one for one in applied.values()))
    ]
