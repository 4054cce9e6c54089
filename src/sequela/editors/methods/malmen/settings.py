"""MALMEN's settings and record."""

from __future__ import annotations

from pydantic import Field

from sequela.core.validation import Count
from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.shared.settings import HypernetworkHyperparameters, Token


class MalmenHyperparameters(HypernetworkHyperparameters):
    """MALMEN's settings."""

    n_blocks: Count = Field(default=2, ge=1, description="The number of the network's own layers.")
    edit_lr: float = Field(default=1e-6, gt=0, description="The initial value of the learned step sizes.")
    token: Token = Field(
        default="mask",
        description="The tokens that are read: mask (all) or ans (those that predict the target).",
    )


MALMEN = MethodInfo(
    name="malmen",
    summary="Value differences predicted by a trained network at every token, aggregated by ridge regression "
    "(Tan et al. 2024).",
    paper="Tan et al. 2024, arXiv 2311.04661",
    settings=MalmenHyperparameters,
    implementation="sequela.editors.methods.malmen.editor:Malmen",
    needs_subject=False,
    needs_training=True,
)
