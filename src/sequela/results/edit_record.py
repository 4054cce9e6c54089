"""Records of single edits: the method's report and the measurements right after the edit."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict, Field

from sequela.results.item_record import ItemRecord
from sequela.results.names import method_label


class EditReport(BaseModel):
    """The editing method's report on one edit.

    Args:
        edit_id: The identifier of the edit within its set.
        optimization_steps: The number of optimization steps; 0 for methods without optimization.
        first_loss: The loss before the first step, in nats.
        final_loss: The loss after the last step, in nats.
        relative_norm: The largest `||Delta|| / ||W||` of the changed weights, for the edit's whole batch.
        dropped: The reason for leaving the edit out; empty if it was applied.
        diagnostics: Further numbers by name, such as the cosine between the key and the update direction.
        warning: A problem with an edit that was applied; empty if there is none.
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
    def for_dropped(cls, edit_id: str, reason: str, **diagnostics: float) -> EditReport:
        """Returns the report of an edit that was dropped before the first optimization step.

        Args:
            edit_id: The identifier of the edit within its set.
            reason: The reason for dropping it.
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
    """One edit within a trajectory: the method's report, its context, and the measurements right after it.

    Args:
        trajectory: The trajectory's hash, as in `EvaluationKey`.
        model: The base model's name.
        editor: The method.
        variant: The method's variant; empty if it has none.
        edit_source: The source of the edit.
        order_seed: The shuffle seed.
        edit_sample: The sample of edits; None if the study has no samples.
        position: The edit's position in the order, from 1.
        batch: The number of the edit's batch, from 1.
        prompt: The prompt, with the subject filled in.
        target_new: The new target.
        target_true: The answer before the edit, if known.
        seconds: The wall-clock time of this edit; the time of a batch is divided equally among its edits.
        success: The items measured right after this edit (task `success@edit`), one for each metric, protocol
            and probe.
    """

    trajectory: str = Field(min_length=1)
    model: str
    editor: str
    variant: str = ""
    edit_source: str
    order_seed: int
    edit_sample: int | None = Field(default=None, ge=0)
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
