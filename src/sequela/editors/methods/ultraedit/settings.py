"""UltraEdit's settings and record."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt

from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.hyperparameters import Hyperparameters
from sequela.editors.shared.settings import Token


class UltraEditHyperparameters(Hyperparameters):
    """UltraEdit's settings."""

    layers: tuple[NonNegativeInt, ...] | None = Field(
        default=None,
        min_length=1,
        description="The layers to edit; by default two, at nine tenths of the depth.",
    )
    lr: float = Field(default=1e-3, gt=0, description="The step size of each position; the paper's is 1e-6.")
    token: Token = Field(
        default="mask", description="The positions: mask (all) or ans (those that predict the target)."
    )


ULTRAEDIT = MethodInfo(
    name="ultraedit",
    summary="Ridge regression on normalized gradients, without a subject (Gu et al. 2025).",
    paper="Gu et al. 2025, arXiv 2505.14679",
    settings=UltraEditHyperparameters,
    implementation="sequela.editors.methods.ultraedit.editor:UltraEdit",
    needs_subject=False,
)
