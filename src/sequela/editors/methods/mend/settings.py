"""MEND's settings and record."""

from __future__ import annotations

from pydantic import Field

from sequela.core.validation import Count
from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.shared.settings import HypernetworkHyperparameters


class MendHyperparameters(HypernetworkHyperparameters):
    """MEND's settings."""

    n_hidden: Count = Field(default=1, ge=0, description="The number of the network's hidden layers.")
    edit_lr: float = Field(default=1e-4, gt=0, description="The initial value of the learned step sizes.")


MEND = MethodInfo(
    name="mend",
    summary="A trained network that maps an edit's gradient to the edit (Mitchell et al. 2022).",
    paper="Mitchell et al. 2022, arXiv 2110.11309",
    settings=MendHyperparameters,
    implementation="sequela.editors.methods.mend.editor:Mend",
    needs_subject=False,
    needs_training=True,
)
