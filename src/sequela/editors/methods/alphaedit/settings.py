"""AlphaEdit's settings and record."""

from __future__ import annotations

from pydantic import Field

from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.shared.locate_settings import MultiLayerHyperparameters


class AlphaEditHyperparameters(MultiLayerHyperparameters):
    """AlphaEdit's settings."""

    nullspace_threshold: float = Field(
        default=0.02, gt=0, description="The eigenvalue of C below which eigenvectors span the null space."
    )
    L2: float = Field(default=10.0, gt=0, description="The weight of the change's squared norm.")


ALPHAEDIT = MethodInfo(
    name="alphaedit",
    summary="A batch change in the null space of the model's keys (Fang et al. 2025).",
    paper="Fang et al. 2025, arXiv 2410.02355",
    settings=AlphaEditHyperparameters,
    implementation="sequela.editors.methods.alphaedit.editor:AlphaEdit",
)
