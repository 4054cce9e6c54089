"""The scores of edits over those that were applied and asked, beside the scores over all edits.

An edit that the method or the policy for bad edits left out is no failure of an edit: the model doesn't have
it, and answers as without it. An edit whose prompts don't fit the model's context was not asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from sequela.core.wording import number_of
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


def of_applied(result: TaskResult, note: str = "") -> TaskResult | None:
    """Returns a score of edits over those that were applied and asked; None if these are all.

    It has no value if there is no such edit.

    Args:
        result: The score over all edits, with its items.
        note: A remark for readers, after which the edits follow that are left out.
    """
    items = [item for item in result.items if is_applied(item) and item.answered]
    if result.task not in OF_APPLIED or len(items) == len(result.items):
        return None
    task = OF_APPLIED[result.task]
    n_dropped = sum(not is_applied(item) for item in result.items)
    n_unasked = len(result.items) - n_dropped - len(items)
    dropped = f"{number_of('edit', n_dropped)} dropped, not counted" if n_dropped else ""
    unasked = (
        f"{number_of('edit', n_unasked)} longer than the model's context, not counted" if n_unasked else ""
    )
    full_note = "; ".join(part for part in (note, dropped, unasked) if part)
    renamed = [item.model_copy(update={"task": task}) for item in items]
    if not renamed:
        return result_like(result.items[0].model_copy(update={"task": task}), None, note=full_note)
    return result_from_items(renamed, full_note)


def dropped_note(records: Iterable[ItemRecord]) -> str:
    """Returns a note on the dropped edits that a score over all edits has; empty if it has none.

    Args:
        records: The records of the score.
    """
    dropped = [one for one in records if not is_applied(one)]
    if not dropped:
        return ""
    first = f"(first: {dropped[0].item}, {dropped[0].details[DROPPED]})"
    count = number_of("edit", len(dropped))
    if not any(one.answered for one in dropped):
        return f"{count} dropped {first}"
    them = "it" if len(dropped) == 1 else "them"
    return f"{count} dropped, counted with what the model answers without {them} {first}"


def count_of_edits(
    task: str, metric: str, value: float, n: int, items: Sequence[ItemRecord] = ()
) -> TaskResult:
    """Returns a number of edits, or of their prompts, that is counted without asking a model.

    Args:
        task: The task of edit quality.
        metric: The metric: what is counted.
        value: The number.
        n: The number of all edits or prompts of the task.
        items: The records that count, to keep with the result.
    """
    return TaskResult(
        suite=EDIT_QUALITY,
        task=task,
        metric=metric,
        protocol=FROM_EDITS.name,
        value=float(value),
        n=n,
        items=tuple(items),
    )


def count_dropped(records: Iterable[ItemRecord]) -> list[TaskResult]:
    """Returns the number of edits that were not applied, by task; n is the number of all edits of the task.

    Each edit counts once: a superseded one, of which there is only the record that counts it, is not dropped.

    Args:
        records: The records of edits, and those that count what is left out; a task without dropped edits has
            no count.
    """
    edits: dict[str, dict[str, bool]] = {}
    for one in records:
        known = edits.setdefault(one.task, {})
        known[one.item] = known.get(one.item, True) and is_applied(one)
    return [
        count_of_edits(task, DROPPED_EDITS.name, n_dropped, len(applied))
        for task, applied in edits.items()
        if (n_dropped := sum(not one for one in applied.values()))
    ]
