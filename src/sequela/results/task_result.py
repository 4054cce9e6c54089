"""What an evaluation found on one model: a mean over items, with its error."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from sequela.results.answer_distribution import AnswerForm
from sequela.results.measurement import ItemRecord
from sequela.results.standard_error import mean_and_stderr


class Finding(BaseModel):
    """One number an evaluation found; a study labels it and makes a `Measurement` of it.

    Args:
        suite: The group of tasks.
        task: The task.
        metric: What was measured.
        protocol: How.
        value: The number; None where it can't be given (see `note`).
        stderr: Its standard error, where there is one.
        n: How many items stand behind it.
        n_nonfinite: How many of them met a logit that was not a number; they count as failures.
        n_refused: How many of them are longer than the model's context; they count as failures too.
        n_failed: How many of them could not be asked or read; they count as failures too.
        note: What a reader must know.
        form: What the answers behind it look like, where it is a score of answers.
        items: The records behind the number.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str
    task: str
    metric: str
    protocol: str
    value: float | None
    stderr: float | None
    n: int = Field(ge=0)
    n_nonfinite: int = Field(default=0, ge=0)
    n_refused: int = Field(default=0, ge=0)
    n_failed: int = Field(default=0, ge=0)
    note: str = ""
    form: AnswerForm | None = None
    items: tuple[ItemRecord, ...] = ()


def finding_from_items(items: Sequence[ItemRecord], note: str = "") -> Finding:
    """The mean over the items of one task, metric and protocol.

    Args:
        items: The items.
        note: What a reader must know; that some items were refused or failed is added to it.

    Raises:
        ValueError: There are no items, or they are of different tasks, metrics or protocols.
    """
    kinds = {(item.suite, item.task, item.metric, item.protocol) for item in items}
    if len(kinds) != 1:
        raise ValueError(f"A finding needs items of one kind; these are of {len(kinds)}.")
    suite, task, metric, protocol = kinds.pop()
    value, stderr = mean_and_stderr([item.value for item in items])
    return Finding(
        suite=suite,
        task=task,
        metric=metric,
        protocol=protocol,
        value=value,
        stderr=stderr,
        note="; ".join(part for part in (note, trouble_of(items)) if part),
        items=tuple(items),
        **counts_of(items),
    )


def counts_of(items: Sequence[ItemRecord]) -> dict[str, int]:
    """How many items there are, and how many of them are no answers, by the names a `Finding` has."""
    return {
        "n": len(items),
        "n_nonfinite": sum(not item.finite for item in items),
        "n_refused": sum(item.refused is not None for item in items),
        "n_failed": sum(bool(item.failed) for item in items),
    }


def trouble_of(items: Sequence[ItemRecord]) -> str:
    """What a reader must know of items that were refused or failed; empty if there are none."""
    refused = refused_note([item.refused for item in items if item.refused is not None])
    failed = failed_note([item.failed for item in items if item.failed])
    return "; ".join(part for part in (refused, failed) if part)


def refused_note(lengths: Sequence[int]) -> str:
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
