"""The records of single items behind a task result."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sequela.results.protocols import FREE_TEXT


class ItemRecord(BaseModel):
    """The result of one item of a task at one checkpoint.

    Args:
        suite: The suite, as in `TaskResult`.
        task: The task, as in `TaskResult`.
        metric: The metric, as in `TaskResult`.
        protocol: The protocol, as in `TaskResult`.
        item: The identifier of the item within its task; equal at all checkpoints, which allows paired
            comparisons.
        value: The item's contribution to the mean, unless it is not `measured`.
        finite: True if all logits behind the answer were finite.
        too_long: The number of tokens of an item that exceeds the model's context and was not run; else None.
        unfinished_thinking: The number of generated tokens of an item whose thinking didn't end, so that it
            has no answer; else None.
        failed: The reason if the prompt could not be built or the answer not scored; empty otherwise.
        prompt: The prompt.
        answer: The answer that the model generated or chose.
        thinking: The text that the model generated before its answer; together they are the whole text.
        expected: The correct answer.
        details: Further JSON values by name.
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
    unfinished_thinking: int | None = Field(default=None, ge=0)
    failed: str = ""
    prompt: str = ""
    answer: str = ""
    thinking: str = ""
    expected: str = ""
    details: dict[str, Any] = Field(default_factory=dict)

    @property
    def answered(self) -> bool:
        """True if the model was asked and its answer scored: the item was not too long and did not fail."""
        return self.too_long is None and not self.failed

    @property
    def measured(self) -> bool:
        """False if `value` stands for none: it is a property of a text, and the text was not completed.

        An answer that is missing is wrong, but the entropy of a text that is missing is unknown.
        """
        if self.protocol != FREE_TEXT.name:
            return True
        return self.answered and self.finite and self.unfinished_thinking is None
