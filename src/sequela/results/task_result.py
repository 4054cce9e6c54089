"""Results of tasks: means over items with their standard errors."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from sequela.results.answer_distribution import AnswerDistribution
from sequela.results.item_record import ItemRecord
from sequela.results.standard_error import mean_and_stderr

_TOO_LONG = "items longer than the model's context, not run and counted as 0"
_FAILED = "items that failed and count as 0"
_INVALID_ITEMS = re.compile(
    # Earlier versions wrote `not asked`. The reason of a failure, which comes last, may contain anything.
    r"(?:^|; )(?:items longer than the model's context, not (?:run|asked) and counted as 0: \d+ "
    rf"\([^()]* tokens\)|{re.escape(_FAILED)}: \d+ \(the first: .*\)$)",
    re.DOTALL,
)


class TaskResult(BaseModel):
    """One number of an evaluation, with its standard error and the number of items.

    Args:
        suite: The suite, such as `edit_quality`, `builtin`, `mmlu` or `perplexity`.
        task: The task, such as `retention@n`, `mmlu_anatomy@1` or `truthfulqa_mc1@1`.
        group: The group to which the task belongs, such as `mmlu` for `mmlu_anatomy@1`; empty if it is the
            task's own name without version.
        subtask: The subtask of the group, such as `anatomy`; empty for the whole group.
        metric: The metric, such as `efficacy`, `accuracy` or `perplexity` (see `metrics`).
        protocol: The protocol, such as `free_decoding`, `teacher_forced` or `loglikelihood`.
        value: The value; None if there is none (see `note`).
        stderr: The standard error, if there is one.
        n: The number of items.
        n_nonfinite: The number of items with a non-finite logit; they count as failures.
        n_too_long: The number of items that exceed the model's context and were not run; they count as
            failures.
        n_unfinished_thinking: The number of items in which the model's thinking didn't end; they have no
            answer and count as failures.
        n_failed: The number of items that could not be run or scored because of an error in a template or an
            extractor; they count as failures.
        note: A remark for readers, such as `no items`.
        form: The distribution of the answers, if the result is a score of answers.
        items: The records of the items; they are stored separately and not part of a dump.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str
    task: str
    group: str = ""
    subtask: str = ""
    metric: str
    protocol: str
    value: float | None
    stderr: float | None = None
    n: int = Field(ge=0)
    n_nonfinite: int = Field(default=0, ge=0)
    n_too_long: int = Field(default=0, ge=0)
    n_unfinished_thinking: int = Field(default=0, ge=0)
    n_failed: int = Field(default=0, ge=0)
    note: str = ""
    form: AnswerDistribution | None = None
    items: tuple[ItemRecord, ...] = Field(default=(), exclude=True, repr=False)

    @property
    def series(self) -> tuple[str, str, str, str]:
        """The suite, task, metric and protocol; equal for the same quantity of any checkpoint or method."""
        return (self.suite, self.task, self.metric, self.protocol)


def result_from_items(items: Sequence[ItemRecord], note: str = "") -> TaskResult:
    """Returns the mean over the items of one task, metric and protocol as a result.

    Args:
        items: The items.
        note: A remark for readers, to which the counts of items without an answer are added.

    Raises:
        ValueError: There are no items, or they belong to different tasks, metrics or protocols.
    """
    kinds = {(item.suite, item.task, item.metric, item.protocol) for item in items}
    if len(kinds) != 1:
        raise ValueError(f"A task result needs items of one kind; these are of {len(kinds)}.")
    value, stderr = mean_and_stderr([item.value for item in items])
    full_note = "; ".join(part for part in (note, invalid_items_note(items)) if part)
    return result_like(items[0], value, stderr, full_note, counted=items, items=items)


def result_like(
    first: ItemRecord,
    value: float | None,
    stderr: float | None = None,
    note: str = "",
    *,
    counted: Sequence[ItemRecord] = (),
    items: Sequence[ItemRecord] = (),
    metric: str = "",
    form: AnswerDistribution | None = None,
) -> TaskResult:
    """Returns a result with the labels of a record.

    Args:
        first: The record: its suite, task, metric and protocol are those of the result.
        value: The value; None if there is none.
        stderr: The standard error, if there is one.
        note: A remark for readers.
        counted: The records of the items that `n` and the numbers of invalid items count.
        items: The records to keep with the result; none if the value is not a mean over them.
        metric: The metric, if it is not the record's.
        form: The distribution of the answers, if the result is a score of answers.
    """
    return TaskResult(
        suite=first.suite,
        task=first.task,
        metric=metric or first.metric,
        protocol=first.protocol,
        value=value,
        stderr=stderr,
        n=len(counted),
        n_nonfinite=sum(not item.finite for item in counted),
        n_too_long=sum(item.too_long is not None for item in counted),
        n_unfinished_thinking=sum(item.unfinished_thinking is not None for item in counted),
        n_failed=sum(bool(item.failed) for item in counted),
        note=note,
        form=form,
        items=tuple(items),
    )


def invalid_items_note(items: Sequence[ItemRecord]) -> str:
    """Returns a note on the items without an answer that could be scored; empty if there are none."""
    too_long = too_long_note([item.too_long for item in items if item.too_long is not None])
    lengths = [item.unfinished_thinking for item in items if item.unfinished_thinking is not None]
    unfinished = unfinished_thinking_note(lengths, len(items))
    failed = failed_note([item.failed for item in items if item.failed])
    return "; ".join(part for part in (too_long, unfinished, failed) if part)


def without_invalid_items(note: str) -> str:
    """Returns a note without what `invalid_items_note` has added to it, in this version or an earlier one."""
    return _INVALID_ITEMS.sub("", note)


def too_long_note(lengths: Sequence[int]) -> str:
    """Returns a note on items longer than the model's context; empty if there are none.

    Args:
        lengths: The lengths of those items, in tokens.
    """
    if not lengths:
        return ""
    longest = f"{max(lengths)} tokens" if min(lengths) == max(lengths) else f"up to {max(lengths)} tokens"
    return f"{_TOO_LONG}: {len(lengths)} ({longest})"


def unfinished_thinking_note(lengths: Sequence[int], n: int) -> str:
    """Returns a note on items whose thinking didn't end; empty if there are none.

    Args:
        lengths: The lengths of their texts, in tokens.
        n: The number of all items.
    """
    if not lengths:
        return ""
    return (
        f"{len(lengths)} of {n} thoughts were not finished within {max(lengths)} tokens and count as no "
        "answer; raise max_thinking_tokens"
    )


def failed_note(reasons: Sequence[str]) -> str:
    """Returns a note on failed items with the reason of the first; empty if there are none.

    Args:
        reasons: The reason for each failure.
    """
    if not reasons:
        return ""
    return f"{_FAILED}: {len(reasons)} (the first: {reasons[0]})"
