"""ROME: its settings, and what a listing tells of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt

from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.shared.settings import N_CONTEXTS, TargetHyperparameters


class RomeHyperparameters(TargetHyperparameters):
    """ROME's settings."""

    variant: Literal["original", "r-rome", "p-rome"] = Field(
        default="r-rome",
        description="Which keys: original (mean key and bare key mixed), r-rome (mean key), p-rome (bare).",
    )
    layers: tuple[NonNegativeInt] | None = Field(
        default=None, description="The one layer to edit; by default about a quarter of the way up."
    )
    mom2_adjustment: bool = Field(
        default=True, description="Whiten the key with the key second moment C; the paper's runs did not."
    )
    n_contexts: int = Field(default=N_CONTEXTS, ge=0, description="Sampled contexts beside the bare prompt.")


ROME = MethodInfo(
    name="rome",
    summary="Rank-one change of one MLP layer, one fact at a time (Meng et al. 2022).",
    paper="Meng et al. 2022, arXiv 2202.05262",
    settings=RomeHyperparameters,
    implementation="sequela.editors.methods.rome.editor:Rome",
    takes_batches=False,
)
