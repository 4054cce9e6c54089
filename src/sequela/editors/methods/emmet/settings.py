"""EMMET's settings and record."""

from __future__ import annotations

from pydantic import Field

from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.shared.locate_settings import MultiLayerHyperparameters


class EmmetHyperparameters(MultiLayerHyperparameters):
    """EMMET's settings."""

    emmet_lambda: float = Field(
        default=0.1, ge=0, description="a, the ridge weight: greater lets values deviate if keys are similar."
    )


EMMET = MethodInfo(
    name="emmet",
    summary="A batch change under ROME's equality constraint (Gupta et al. 2024).",
    paper="Gupta et al. 2024, arXiv 2403.14236",
    settings=EmmetHyperparameters,
    implementation="sequela.editors.methods.emmet.editor:Emmet",
)
