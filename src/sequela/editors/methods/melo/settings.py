"""MELO's settings and record."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt

from sequela.core.validation import Count
from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.hyperparameters import Hyperparameters
from sequela.editors.shared.settings import SAME_KEY, SameKey


class MeloHyperparameters(Hyperparameters):
    """MELO's settings."""

    layers: tuple[NonNegativeInt, ...] | None = Field(
        default=None,
        min_length=1,
        description="The layer of the index, followed by those above it with blocks, by default the next "
        "two. By default the index is at nearly three quarters of the depth.",
    )
    init_radius: float | None = Field(
        default=None,
        gt=0,
        description="The radius of a new cluster (Euclidean; published: 0.5); by default a fraction of the "
        "key's norm.",
    )
    relative_radius: float = Field(
        default=0.05, gt=0, description="The fraction of the key's norm used if `init_radius` isn't given."
    )
    rank: Count = Field(default=2, ge=1, description="The rank of a block.")
    edits_per_block: Count = Field(
        default=4, ge=1, description="The maximum number of edits of a batch that share a block."
    )
    num_steps: Count = Field(default=50, ge=1, description="The maximum number of Adam steps for a block.")
    lr: float = Field(default=1e-3, gt=0, description="Adam's learning rate.")
    halve_every: Count = Field(
        default=30, ge=1, description="The number of steps after which the learning rate is halved."
    )
    scale: float = Field(default=350.0, gt=0, description="The scale of the product of a block's factors.")
    stop_below: float = Field(
        default=0.05, ge=0, description="The mean loss below which training ends (published: 0, never)."
    )
    same_key: SameKey = Field(default="take over", description=SAME_KEY)


MELO = MethodInfo(
    name="melo",
    summary="Low-rank blocks selected by a vector index (Yu et al. 2024).",
    paper="Yu et al. 2024, arXiv 2312.11795",
    settings=MeloHyperparameters,
    implementation="sequela.editors.methods.melo.editor:Melo",
    location="activations",
    needs_subject=False,
)
