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
        edit_sample: The sample of edits; None if the study has no samples, and for measurements of the
            unedited model that no edits take part in.
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
    edit_sample: int | None = Field(default=None, ge=0)
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


class Comparison(BaseModel):
    """A value and the unedited model's over the items that both models answered.

    Args:
        value: The edited model's value.
        baseline: The unedited model's value.
        n: The number of items.
        n_lost: The number of items that only the unedited model answered, because they were too long for the
            edited one or failed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | None
    baseline: float | None
    n: int = Field(ge=0)
    n_lost: int = Field(default=0, ge=0)


class Measurement(TaskResult, Labels):
    """A task result of one model at one checkpoint.

    Args:
        baseline: The value of the unedited model on the same items.
        shared: The comparison with the unedited model over the items that both answered; None if both
            answered all of them, so that `value` and `baseline` are that comparison.
    """

    baseline: float | None = None
    shared: Comparison | None = None

    @classmethod
    def of(
        cls, result: TaskResult, labels: Labels, baseline: float | None, shared: Comparison | None = None
    ) -> Measurement:
        """Returns a result with its labels and baseline, without the items, which are stored separately.

        Args:
            result: The task result.
            labels: The model, the method and the checkpoint.
            baseline: The value of the unedited model.
            shared: The comparison over the items that both models answered, if there are others.
        """
        return cls(**{**dict(labels), **dict(result), "items": (), "baseline": baseline, "shared": shared})

    @property
    def compared(self) -> Comparison | None:
        """The comparison with the unedited model over the items that both answered; None if it isn't known.

        Results of schema 5 or earlier don't say which items were answered, if not all were.
        """
        if self.shared is None and not self.n_too_long and not self.n_failed:
            return Comparison(value=self.value, baseline=self.baseline, n=self.n)
        return self.shared

    @property
    def difference(self) -> float | None:
        """The difference from the unedited model over the items that both models answered, if it is known."""
        one = self.compared
        if self.value is None or one is None or one.value is None or one.baseline is None:
            return None
        return one.value - one.baseline

    @property
    def labels(self) -> Labels:
        """The labels alone."""
        return Labels(**{name: value for name, value in self if name in Labels.model_fields})
