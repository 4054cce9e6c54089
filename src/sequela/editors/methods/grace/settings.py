"""GRACE's settings and record."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt

from sequela.core.validation import Count
from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.hyperparameters import Hyperparameters
from sequela.editors.shared.settings import SAME_KEY, SameKey


class GraceHyperparameters(Hyperparameters):
    """GRACE's settings."""

    layers: tuple[NonNegativeInt] | None = Field(
        default=None,
        description="The layer of the codebook, in a list; by default at three quarters of the depth.",
    )
    eps: float = Field(default=1.0, gt=0, description="The radius of a new key (Euclidean).")
    num_steps: Count = Field(default=100, ge=1, description="The maximum number of Adam steps for a value.")
    lr: float = Field(default=1.0, gt=0, description="Adam's learning rate.")
    stop_below: float = Field(default=0.0, ge=0, description="The loss below which training ends.")
    same_key: SameKey = Field(default="take over", description=SAME_KEY)


GRACE = MethodInfo(
    name="grace",
    summary="A codebook of keys and values at one layer (Hartvigsen et al. 2023).",
    paper="Hartvigsen et al. 2023, arXiv 2211.11031",
    settings=GraceHyperparameters,
    implementation="sequela.editors.methods.grace.editor:Grace",
    location="activations",
    takes_batches=False,
    needs_subject=False,
)
