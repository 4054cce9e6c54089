"""A measurement, and the per-item records behind it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sequela.results.answer_distribution import AnswerForm
from sequela.results.names import method_label


class Measurement(BaseModel):
    """One number about one model at one checkpoint; it never travels without n and its error.

    Args:
        model: The base model's name.
        editor: The method; `none` for the unedited model.
        variant: The method's variant, e.g. `r-rome`; empty if it has none.
        edit_source: Where the edits came from.
        order_seed: The seed of the edits' order.
        n_edits: How many edits were in force.
        suite: The group of tasks, e.g. `edit_quality`, `builtin`, `mmlu`, `health`.
        task: The task, e.g. `retention@n`, `mmlu_anatomy`, `truthfulqa_mc1`.
        metric: What was measured, e.g. `efficacy`, `accuracy`, `perplexity`.
        protocol: How, e.g. `free_decoding`, `teacher_forced`, `loglikelihood`.
        value: The number; None where it can't be given (see `note`).
        stderr: Its standard error, where there is one.
        n: How many items stand behind it.
        n_nonfinite: How many of them met a logit that was not a number; they count as failures.
        n_refused: How many of them are longer than the model's context and weren't asked; they count as
            failures too.
        n_failed: How many of them could not be put to the model or could not be read, for a mistake in a
            template or an extractor; they count as failures too.
        baseline: The same number on the unedited model, over the same items.
        note: What a reader must know, e.g. `no items`.
        form: What the answers behind it look like, where it is a score of answers.
        edit_template: How edits were put to the model: `none`, as they stand, or `chat`, in its template.
        template: How it was asked when this was measured: `none` or `chat`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    editor: str
    variant: str = ""
    edit_source: str
    order_seed: int
    n_edits: int = Field(ge=0)
    suite: str
    task: str
    metric: str
    protocol: str
    value: float | None
    stderr: float | None = None
    n: int = Field(ge=0)
    n_nonfinite: int = Field(default=0, ge=0)
    n_refused: int = Field(default=0, ge=0)
    n_failed: int = Field(default=0, ge=0)
    baseline: float | None = None
    note: str = ""
    form: AnswerForm | None = None
    edit_template: str = "none"
    template: str = "none"

    @property
    def series(self) -> tuple[str, str, str, str]:
        """What makes two measurements the same quantity at different checkpoints or editors."""
        return (self.suite, self.task, self.metric, self.protocol)

    @property
    def label(self) -> str:
        """The method and its variant, as in legends."""
        return method_label(self.editor, self.variant)


class ItemRecord(BaseModel):
    """What one item of a task gave at one checkpoint.

    Args:
        suite: As in `Measurement`.
        task: As in `Measurement`.
        metric: As in `Measurement`.
        protocol: As in `Measurement`.
        item: Names the item within its task, the same at every checkpoint, so that pairs can be made.
        value: What the item contributes to the measurement's mean.
        finite: Whether every logit behind it was a number.
        refused: Where it is longer than the model's context and wasn't asked: its tokens.
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
    refused: int | None = Field(default=None, ge=1)
    failed: str = ""
    prompt: str = ""
    answer: str = ""
    expected: str = ""
    details: dict[str, Any] = Field(default_factory=dict)
