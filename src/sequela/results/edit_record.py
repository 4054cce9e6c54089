"""What making one edit took, and what came of it at once."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from sequela.results.measurement import ItemRecord


class EditRecord(BaseModel):
    """One edit as it was made within a trajectory.

    Args:
        trajectory: The trajectory's hash, as in `EvaluationKey`.
        model: The base model's name.
        editor: The method.
        variant: The method's variant; empty if it has none.
        edit_source: Where the edit came from.
        order_seed: The seed of the edits' order.
        edit_id: Names the edit within its set.
        position: Its place in the order, from 1.
        batch: The batch it was made in, from 1.
        prompt: The question, with the subject in its place.
        target_new: The answer the edit was to make.
        target_true: The answer before, where known.
        seconds: Wall-clock time of this edit; a batch's time is shared equally among its edits.
        optimization_steps: Steps of gradient descent taken; None for methods without.
        losses: The losses at the last step by name, e.g. `total`, `nll`, `kl`.
        relative_delta_norms: Frobenius norm of what changed (by the whole batch) over the norm of the
            weight before, by weight.
        dropped: Why the edit was left out; empty if it was made.
        diagnostics: Further numbers by name, e.g. the cosine of key and update direction.
        warning: What is wrong with an edit that was made; empty if nothing is.
        success: What the model did right after this edit (task `success@edit`), one record for each
            metric, protocol and probe.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trajectory: str = Field(min_length=1)
    model: str
    editor: str
    variant: str = ""
    edit_source: str
    order_seed: int
    edit_id: str
    position: int = Field(ge=1)
    batch: int = Field(ge=1)
    prompt: str
    target_new: str
    target_true: str | None = None
    seconds: float = Field(ge=0)
    optimization_steps: int | None = Field(default=None, ge=0)
    losses: dict[str, float] = Field(default_factory=dict)
    relative_delta_norms: dict[str, float] = Field(default_factory=dict)
    dropped: str = ""
    diagnostics: dict[str, float] = Field(default_factory=dict)
    warning: str = ""
    success: tuple[ItemRecord, ...] = ()
