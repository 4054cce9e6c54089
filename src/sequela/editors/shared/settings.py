"""Settings that several methods have in common."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt

from sequela.editors.hyperparameters import Hyperparameters

N_CONTEXTS = 5
"""Sampled contexts beside the bare prompt (Meng et al. 2023, released code)."""

IDENTITY = "identity"
"""The artifact that is none: what is trained as it is before any training."""

Token = Literal["ans", "mask"]
"""Which tokens of an edit are read: all (`mask`), or those that predict the target (`ans`)."""

SameKey = Literal["take over", "published"]
SAME_KEY = (
    "What an edit does that has an earlier one's very key and wants another target: take its place, or, as "
    "published, put both out of reach."
)


class TargetHyperparameters(Hyperparameters):
    """How target values are optimised; names and meaning as in the released ROME and MEMIT."""

    v_num_grad_steps: int = Field(default=25, ge=1, description="Most evaluations of the loss.")
    v_lr: float = Field(default=0.5, gt=0, description="Adam's learning rate.")
    v_weight_decay: float = Field(default=0.5, ge=0, description="Weight of ||delta|| / ||v||^2.")
    clamp_norm_factor: float = Field(default=4.0, gt=0, description="Bound of ||delta|| / ||v||.")
    kl_factor: float = Field(default=0.0625, ge=0, description="Weight of the KL at '{subject} is a'.")
    anchored: bool = Field(
        default=False, description="Scale targets to the unedited model's norm; set by the regularizer nas."
    )


class MultiLayerHyperparameters(TargetHyperparameters):
    """Settings of methods that edit a range of layers."""

    layers: tuple[NonNegativeInt, ...] | None = Field(
        default=None, min_length=1, description="The layers to edit, ascending; by default five."
    )
    n_contexts: int = Field(default=N_CONTEXTS, ge=0, description="Sampled contexts beside the bare prompt.")


class TrainedHyperparameters(Hyperparameters):
    """Settings that all trained methods have."""

    artifact: str | None = Field(
        default=None,
        description="The folder of a trained network; by default what `sequela train-editor` made for the "
        "model. `identity` is an untrained one.",
    )

    @property
    def is_untrained(self) -> bool:
        """Whether what is trained is taken as it is before any training."""
        return self.artifact == IDENTITY


class HypernetworkHyperparameters(TrainedHyperparameters):
    """Settings of methods that map gradients to changes of weights."""

    layers: tuple[NonNegativeInt, ...] | None = Field(
        default=None,
        min_length=1,
        description="The layers whose MLPs are edited; by default the highest, three (mend) or six (malmen).",
    )
    rank: int = Field(default=1920, ge=1, description="The rank of the network's own layers, at most.")
    sequence: Literal["accumulate", "last-only"] = Field(
        default="accumulate",
        description="Whether batches add up, or each is made on the unedited model and takes the place of "
        "the others, as in the released code.",
    )
