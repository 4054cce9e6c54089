"""The settings of an editor's training."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from sequela.core.numbers import MAX_COUNT
from sequela.core.validation import CheckedModel, Count, NumericModel, Seed


class TrainingSettings(NumericModel, CheckedModel):
    """The settings of an editor's training.

    Args:
        n_steps: The maximum number of steps.
        batch_size: The number of edits per step.
        micro_batch: The number of edits per pass through the model; it affects memory but not results.
        lr: Adam's learning rate.
        clip: The maximum norm of a step's gradient.
        edit_weight: The weight of the edits' loss.
        locality_weight: The weight of the KL divergence at unrelated prompts.
        validate_every: The number of steps between validations, which also save the state.
        n_held_out: The number of held-out edits.
        patience: The number of validations without improvement after which training ends.
        minutes: The maximum training time in minutes; None for no limit.
        gradient_checkpointing: True to recompute the model's blocks in the backward pass, which takes less
            memory and more time and changes results only by rounding.
        cache_mib: The maximum size in MiB of the cached passes of the unedited model over the held-out edits,
            which let validation run the upper layers only; 0 caches nothing.
        seed: The seed of the order of edits and of the network's initialization.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n_steps: Count = Field(default=10_000, ge=1)
    batch_size: Count = Field(default=10, ge=1)
    micro_batch: Count = Field(default=10, ge=1)
    lr: float = Field(default=1e-4, gt=0)
    clip: float = Field(default=100.0, gt=0)
    edit_weight: float = Field(default=0.1, gt=0)
    locality_weight: float = Field(default=1.0, ge=0)
    validate_every: Count = Field(default=100, ge=1)
    n_held_out: Count = Field(default=100, ge=1)
    patience: Count = Field(default=10, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    gradient_checkpointing: bool = False
    cache_mib: int = Field(default=1024, ge=0, le=MAX_COUNT)
    seed: Seed = 0
