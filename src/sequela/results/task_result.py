"""What an evaluation found on one model: a mean over items, with its error."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from sequela.results.answer_distribution import AnswerDistribution
from sequela.results.item_record import ItemRecord
from sequela.results.standard_error import mean_and_stderr


class TaskResult(BaseModel):
    """One number an evaluation found; it never travels without n and its error.

    Args:
        suite: The suite, e.g. `edit_quality`, `builtin`, `mmlu`, `perplexity`.
        task: The task, e.g. `retention@n`, `mmlu_anatomy@1`, `truthfulqa_mc1@1`.
        group: The entry of the suite's tasks that it belongs to, e.g. `mmlu` for `mmlu_anatomy@1`; empty
            where that is the task's own name without version.
        subtask: The part of the group that it covers, e.g. `anatomy`; empty for the whole.
        metric: What was measured, e.g. `efficacy`, `accuracy`, `perplexity` (see `metrics`).
        protocol: How, e.g. `free_decoding`, `teacher_forced`, `loglikelihood`.
        value: The number; None where it can't be given (see `note`).
        stderr: Its standard error, where there is one.
        n: How many items stand behind it.
        n_nonfinite: How many of them met a logit that was not a number; they count as failures.
        n_too_long: How many of them are longer than the model's context and weren't asked; they count as
            failures too.
        n_failed: How many of them could not be put to the model or could not be read, for a mistake in a
            template or an extractor; they count as failures too.
        note: What a reader must know, e.g. `no items`.
        form: What the answers behind it look like, where it is a score of answers.
        items: The records behind the number; stored apart, so not part of a dump.
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
    n_failed: int = Field(default=0, ge=0)
    note: str = ""
    form: AnswerDistribution | None = None
    items: tuple[ItemRecord, ...] = Field(default=(), exclude=True, repr=False)

    @property
    def series(self) -> tuple[str, str, str, str]:
        """What makes two results the same quantity at different checkpoints or editors."""
        return (self.suite, self.task, self.metric, self.protocol)


def result_from_items(items: Sequence[ItemRecord], note: str = "") -> TaskResult:
    """The mean over the items of one task, metric and protocol.

    Args:
        items: The items.
        note: What a reader must know; that some items were too long or failed is added to it.

    Raises:
        ValueError: There are no items, or they are of different tasks, metrics or protocols.
    """
    kinds = {(item.suite, item.task, item.metric, item.protocol) for item in items}
    if len(kinds) != 1:
        raise ValueError(f"A task result needs items of one kind; these are of {len(kinds)}.")
    suite, task, metric, protocol = kinds.pop()
    value, stderr = mean_and_stderr([item.value for item in items])
    return TaskResult(
        suite=suite,
        task=task,
        metric=metric,
        protocol=protocol,
        value=value,
        stderr=stderr,
        note="; ".join(part for part in (note, invalid_items_note(items)) if part),
        items=tuple(items),
        **item_counts(items),
    )


def item_counts(items: Sequence[ItemRecord]) -> dict[str, int]:
    """How many items there are, and how many of them are no answers, by the names a `TaskResult` has."""
    return {
        "n": len(items),
        "n_nonfinite": sum(not item.finite for item in items),
        "n_too_long": sum(item.too_long is not None for item in items),
        "n_failed": sum(bool(item.failed) for item in items),
    }


def invalid_items_note(items: Sequence[ItemRecord]) -> str:
    """What a reader must know of items that were too long or failed; empty if there are none."""
    too_long = too_long_note([item.too_long for item in items if item.too_long is not None])
    failed = failed_note([item.failed for item in items if item.failed])
    return "; ".join(part for part in (too_long, failed) if part)


def too_long_note(lengths: Sequence[int]) -> str:
    """How many items were longer than the model's context, and how long; empty if none was.

    Args:
        lengths: Their tokens.
    """
    if not lengths:
        return ""
    longest = f"{max(lengths)} tokens" if min(lengths) == max(lengths) else f"up to {max(lengths)} tokens"
    return f"items longer than the model's context, not asked and counted as 0: {len(lengths)} ({longest})"


def failed_note(reasons: Sequence[str]) -> str:
    """How many items could not be asked or read, and why the first; empty if none.

    Args:
        reasons: Why each failed.
    """
    if not reasons:
        return ""
    return f"items that failed and count as 0: {len(reasons)} (the first: {reasons[0]})"
