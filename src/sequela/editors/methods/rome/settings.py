"""ROME's settings and record."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt

from sequela.core.validation import Count
from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.shared.locate_settings import N_CONTEXTS, TargetHyperparameters


class RomeHyperparameters(TargetHyperparameters):
    """ROME's settings."""

    variant: Literal["original", "r-rome", "p-rome"] = Field(
        default="r-rome",
        description="The keys: original (mixes mean key and bare key), r-rome (mean key), p-rome (bare key).",
    )
    layers: tuple[NonNegativeInt] | None = Field(
        default=None,
        description="The layer to edit, in a list; by default at about a quarter of the depth.",
    )
    mom2_adjustment: bool = Field(
        default=True, description="Whiten the key with the key covariance C; the paper's runs did not."
    )
    n_contexts: Count = Field(
        default=N_CONTEXTS, ge=0, description="The number of contexts sampled in addition to the bare prompt."
    )


ROME = MethodInfo(
    name="rome",
    summary="A rank-one change of one MLP layer, one fact at a time (Meng et al. 2022).",
    paper="Meng et al. 2022, arXiv 2202.05262",
    settings=RomeHyperparameters,
    implementation="sequela.editors.methods.rome.editor:Rome",
    takes_batches=False,
)
