"""MELO: its settings, and what a listing tells of it."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt

from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.hyperparameters import Hyperparameters
from sequela.editors.shared.settings import SAME_KEY, SameKey


class MeloHyperparameters(Hyperparameters):
    """MELO's settings."""

    layers: tuple[NonNegativeInt, ...] | None = Field(
        default=None,
        min_length=1,
        description="The layer that is watched, then those above it that have blocks; alone, the two above "
        "it have them. By default nearly three quarters up.",
    )
    init_radius: float | None = Field(
        default=None,
        gt=0,
        description="A new cluster's radius (Euclidean; published: 0.5); by default part of the key's norm.",
    )
    relative_radius: float = Field(
        default=0.05, gt=0, description="That part, where `init_radius` isn't given."
    )
    rank: int = Field(default=2, ge=1, description="A block's rank.")
    edits_per_block: int = Field(
        default=4, ge=1, description="The most edits that share a block; they must come in one batch."
    )
    num_steps: int = Field(default=50, ge=1, description="Adam steps for a block.")
    lr: float = Field(default=1e-3, gt=0, description="Adam's learning rate.")
    halve_every: int = Field(default=30, ge=1, description="Steps after which the learning rate is halved.")
    scale: float = Field(
        default=350.0, gt=0, description="What the product of a block's factors is scaled by."
    )
    stop_below: float = Field(
        default=0.05, ge=0, description="The mean loss at which training ends (published: 0, at none)."
    )
    same_key: SameKey = Field(default="take over", description=SAME_KEY)


MELO = MethodInfo(
    name="melo",
    summary="Low-rank blocks that a vector index puts in force (Yu et al. 2024).",
    paper="Yu et al. 2024, arXiv 2312.11795",
    settings=MeloHyperparameters,
    implementation="sequela.editors.methods.melo.editor:Melo",
    location="activations",
    needs_subject=False,
)
