"""EMMET: its settings, and what a listing tells of it."""

from __future__ import annotations

from pydantic import Field

from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.shared.settings import MultiLayerHyperparameters


class EmmetHyperparameters(MultiLayerHyperparameters):
    """EMMET's settings."""

    emmet_lambda: float = Field(
        default=0.1, ge=0, description="a: how far values may be missed where keys are alike."
    )


EMMET = MethodInfo(
    name="emmet",
    summary="Batch change under ROME's equality constraint (Gupta et al. 2024).",
    paper="Gupta et al. 2024, arXiv 2403.14236",
    settings=EmmetHyperparameters,
    implementation="sequela.editors.methods.emmet.editor:Emmet",
)
