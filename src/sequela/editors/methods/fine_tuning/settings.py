"""The settings and records of fine-tuning: FT-M and FT-L."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt

from sequela.core.validation import Count
from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.hyperparameters import Hyperparameters


class FineTuningHyperparameters(Hyperparameters):
    """Settings of FT-M and FT-L."""

    layers: tuple[NonNegativeInt, ...] | None = Field(
        default=None,
        min_length=1,
        description="The layers to tune; by default one, at two thirds of the depth.",
    )
    num_steps: Count = Field(default=25, ge=1, description="The maximum number of Adam steps.")
    lr: float = Field(default=5e-4, gt=0, description="Adam's learning rate.")
    weight_decay: float = Field(default=0.0, ge=0, description="Adam's weight decay.")
    norm_constraint: float | None = Field(
        default=None, gt=0, description="The bound on each entry's change; none by default."
    )


FT_M = MethodInfo(
    name="ft-m",
    summary="Fine-tuning of an MLP layer on the target tokens (Zhang et al. 2024).",
    paper="Zhang et al. 2024, arXiv 2401.01286",
    settings=FineTuningHyperparameters,
    implementation="sequela.editors.methods.fine_tuning.editor:FineTuningMasked",
    needs_subject=False,
    needs_loaded_weights=True,
)

FT_L = MethodInfo(
    name="ft-l",
    summary="Fine-tuning of an MLP layer at the prompt's last token (Meng et al. 2022).",
    paper="Meng et al. 2022, arXiv 2202.05262",
    settings=FineTuningHyperparameters,
    implementation="sequela.editors.methods.fine_tuning.editor:FineTuningLast",
    needs_subject=False,
    needs_loaded_weights=True,
)
