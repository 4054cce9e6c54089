"""Settings shared by the locate-then-edit methods."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt

from sequela.core.validation import Count
from sequela.editors.hyperparameters import Hyperparameters

N_CONTEXTS = 5
"""The number of contexts sampled in addition to the bare prompt (Meng et al. 2023, released code)."""


class TargetHyperparameters(Hyperparameters):
    """Settings of the target optimization, with the names and meanings of the released ROME and MEMIT."""

    v_num_grad_steps: Count = Field(default=25, ge=1, description="The maximum number of loss evaluations.")
    v_lr: float = Field(default=0.5, gt=0, description="Adam's learning rate.")
    v_weight_decay: float = Field(default=0.5, ge=0, description="The weight of ||delta|| / ||v||^2.")
    clamp_norm_factor: float = Field(default=4.0, gt=0, description="The bound of ||delta|| / ||v||.")
    kl_factor: float = Field(default=0.0625, ge=0, description="The weight of the KL at '{subject} is a'.")
    anchored: bool = Field(
        default=False, description="Scale targets to the unedited model's norm; set by the regularizer nas."
    )


class MultiLayerHyperparameters(TargetHyperparameters):
    """Settings of methods that edit a range of layers."""

    layers: tuple[NonNegativeInt, ...] | None = Field(
        default=None, min_length=1, description="The layers to edit, ascending; by default five."
    )
    n_contexts: Count = Field(
        default=N_CONTEXTS, ge=0, description="The number of contexts sampled in addition to the bare prompt."
    )
