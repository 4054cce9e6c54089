"""One edit: how it went, and what came of it at once."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field

from sequela.results.item_record import ItemRecord
from sequela.results.names import method_label


class EditReport(BaseModel):
    """How one edit went, as the editing method tells it.

    Args:
        edit_id: Names the edit within its set.
        optimization_steps: Optimization steps taken; 0 for methods without.
        first_loss: The loss before the first step, in nats.
        final_loss: The loss at the end.
        relative_norm: Largest `||Delta|| / ||W||` over the changed weights, for the edit's whole batch.
        dropped: Why the edit was left out; empty if it was made.
        diagnostics: Further numbers by name, e.g. the cosine of key and update direction.
        warning: The trouble with an edit that was made; empty if there is none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    edit_id: str
    optimization_steps: int = Field(ge=0)
    first_loss: float
    final_loss: float
    relative_norm: float
    dropped: str = ""
    diagnostics: dict[str, float] = Field(default_factory=dict)
    warning: str = ""

    @classmethod
    def not_made(cls, edit_id: str, reason: str, **diagnostics: float) -> EditReport:
        """Returns the report of an edit that was left out before any step was taken.

        Args:
            edit_id: Names the edit within its set.
            reason: Why it was left out.
            diagnostics: Further numbers by name.
        """
        return EditReport(
            edit_id=edit_id,
            optimization_steps=0,
            first_loss=math.nan,
            final_loss=math.nan,
            relative_norm=0.0,
            dropped=reason,
            diagnostics=diagnostics,
        )


class EditRecord(EditReport):
    """One edit as it was made within a trajectory: the method's report, and everything around it.

    Args:
        trajectory: The trajectory's hash, as in `EvaluationKey`.
        model: The base model's name.
        editor: The method.
        variant: The method's variant; empty if it has none.
        edit_source: Where the edit came from.
        order_seed: The seed of the edits' order.
        position: Its place in the order, from 1.
        batch: The batch it was made in, from 1.
        prompt: The question, with the subject in its place.
        target_new: The answer the edit was to make.
        target_true: The answer before, where known.
        seconds: Wall-clock time of this edit; a batch's time is shared equally among its edits.
        success: What the model did right after this edit (task `success@edit`), one record for each
            metric, protocol and probe.
    """

    trajectory: str = Field(min_length=1)
    model: str
    editor: str
    variant: str = ""
    edit_source: str
    order_seed: int
    position: int = Field(ge=1)
    batch: int = Field(ge=1)
    prompt: str
    target_new: str
    target_true: str | None = None
    seconds: float = Field(ge=0)
    success: tuple[ItemRecord, ...] = ()

    @property
    def label(self) -> str:
        """The method and its variant, as in legends."""
        return method_label(self.editor, self.variant)
