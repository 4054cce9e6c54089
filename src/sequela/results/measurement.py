"""A measurement: what an evaluation found, and on which model after which edits."""

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
        edit_source: Where the edits came from.
        order_seed: The seed of the edits' order.
        n_edits: How many edits were in force.
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
    edit_template: str = "none"
    template: str = "none"

    @property
    def label(self) -> str:
        """The method and its variant, as in legends."""
        return method_label(self.editor, self.variant)


class Measurement(TaskResult, Labels):
    """One number about one model at one checkpoint.

    Args:
        baseline: The same number on the unedited model, over the same items.
    """

    baseline: float | None = None

    @classmethod
    def of(cls, result: TaskResult, labels: Labels, baseline: float | None) -> Measurement:
        """Returns a result with its labels and its baseline, without the items, which are stored apart.

        Args:
            result: What was found.
            labels: On which model, after which edits.
            baseline: The same number on the unedited model.
        """
        return cls(**{**dict(labels), **dict(result), "items": (), "baseline": baseline})

    @property
    def labels(self) -> Labels:
        """The labels alone."""
        return Labels(**{name: value for name, value in self if name in Labels.model_fields})
