"""The records behind a number: one for each item."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ItemRecord(BaseModel):
    """What one item of a task gave at one checkpoint.

    Args:
        suite: As in `TaskResult`.
        task: As in `TaskResult`.
        metric: As in `TaskResult`.
        protocol: As in `TaskResult`.
        item: Names the item within its task, the same at every checkpoint, so that pairs can be made.
        value: What the item contributes to the mean.
        finite: Whether every logit behind it was a number.
        too_long: Where it is longer than the model's context and wasn't asked: its tokens.
        failed: Why it could not be asked, or its answer not read; empty if nothing failed.
        prompt: What the model was asked.
        answer: What it said or chose.
        expected: What would have been right.
        details: Anything more, as JSON values.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    suite: str
    task: str
    metric: str
    protocol: str
    item: str
    value: float
    finite: bool = True
    too_long: int | None = Field(default=None, ge=1)
    failed: str = ""
    prompt: str = ""
    answer: str = ""
    expected: str = ""
    details: dict[str, Any] = Field(default_factory=dict)
