"""Measurements: task results with the model, method and checkpoint that they belong to."""

from __future__ import annotations

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
        template: The template in which the measurement was taken: `none` or `chat`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    editor: str
    variant: str = ""
    edit_source: str
    order_seed: int
    n_edits: int = Field(ge=0)
    edit_template: str = "none"
    template: str = "none"

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
