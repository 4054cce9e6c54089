"""The settings of a training."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TrainingSettings(BaseModel):
    """How an editor is trained.

    Args:
        n_steps: The most steps.
        batch_size: Edits in a step.
        micro_batch: Edits that go through the model together; less needs less memory and changes nothing.
        lr: Adam's learning rate.
        clip: The greatest norm of a step's gradient.
        edit_weight: The weight of the edits' loss.
        locality_weight: The weight of what changes elsewhere.
        validate_every: After so many steps the held-out edits are made and the state is kept.
        n_held_out: How many edits are held out.
        patience: Training ends after so many validations without a better one.
        minutes: Training ends after so many minutes.
        gradient_checkpointing: Whether the model's blocks are run again in the backward pass: less memory,
            more time, the same curve but for rounding.
        cache_mib: So many MiB may be taken by what the unedited model makes of the held-out edits, so that
            validation runs the upper layers only; 0 keeps nothing.
        seed: The seed of the order of edits and of where learning begins.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_steps: int = Field(default=10_000, ge=1)
    batch_size: int = Field(default=10, ge=1)
    micro_batch: int = Field(default=10, ge=1)
    lr: float = Field(default=1e-4, gt=0)
    clip: float = Field(default=100.0, gt=0)
    edit_weight: float = Field(default=0.1, gt=0)
    locality_weight: float = Field(default=1.0, ge=0)
    validate_every: int = Field(default=100, ge=1)
    n_held_out: int = Field(default=100, ge=1)
    patience: int = Field(default=10, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    gradient_checkpointing: bool = False
    cache_mib: int = Field(default=1024, ge=0)
    seed: int = 0
