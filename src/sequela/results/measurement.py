"""Measurements: task results with the model, method and checkpoint that they belong to."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sequela.results.names import method_label
from sequela.results.task_result import TaskResult


class Labels(BaseModel):
    """The model, the method and the checkpoint that a measurement belongs to.

    Args:
        model: The base model's name.
        editor: The method; `none` for the unedited model.
        variant: The method's variant, e.g. `r-rome`; empty if it has none.
        edit_source: The source of the edits.
        order_seed: The shuffle seed.
        n_edits: The number of edits applied.
        edit_template: The template in which edits were given to the editor: `none` for plain prompts, `chat`
            for the model's chat template.
        edit_template_args: The arguments of that chat template, such as `enable_thinking`.
        template: The template in which the measurement was taken: `none` or `chat`.
        template_args: The arguments of that chat template.
        think_end_token: The text that ended the model's thinking; empty if it doesn't think.
        max_thinking_tokens: The maximum number of tokens of thinking; 0 if the template closes the thought,
            None if the model doesn't think.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    editor: str
    variant: str = ""
    edit_source: str
    order_seed: int
    n_edits: int = Field(ge=0)
    edit_template: str = "none"
    edit_template_args: dict[str, Any] = Field(default_factory=dict)
    template: str = "none"
    template_args: dict[str, Any] = Field(default_factory=dict)
    think_end_token: str = ""
    max_thinking_tokens: int | None = Field(default=None, ge=0)

    @property
    def label(self) -> str:
        """The method and its variant, as in legends."""
        return method_label(self.editor, self.variant)


class Measurement(TaskResult, Labels):
    """A task result of one model at one checkpoint.

    Args:
        baseline: The value of the unedited model on the same items.
    """

    baseline: float | None = None

    @classmethod
    def of(cls, result: TaskResult, labels: Labels, baseline: float | None) -> Measurement:
        """Returns a result with its labels and baseline, without the items, which are stored separately.

        Args:
            result: The task result.
            labels: The model, the method and the checkpoint.
            baseline: The value of the unedited model.
        """
        return cls(**{**dict(labels), **dict(result), "items": (), "baseline": baseline})

    @property
    def labels(self) -> Labels:
        """The labels alone."""
        return Labels(**{name: value for name, value in self if name in Labels.model_fields})
