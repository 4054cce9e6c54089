"""SERAC: its settings, and what a listing tells of it."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt

from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.shared.settings import TrainedHyperparameters
from sequela.models.aliases import MINILM

IN_SCOPE = 0.5
"""From this similarity on a request belongs to an edit."""


class SeracHyperparameters(TrainedHyperparameters):
    """SERAC's settings; all but the last are those of its training."""

    encoder: str = Field(default=MINILM, description="The sentence encoder that the classifier begins with.")
    counterfactual: str | None = Field(
        default=None,
        description="The model that answers in an edit's scope, with the same tokenizer; by default the "
        "model itself.",
    )
    layers: tuple[NonNegativeInt, ...] | None = Field(
        default=None,
        min_length=1,
        description="The counterfactual model's layers that have adapters; by default the upper half.",
    )
    rank: int = Field(default=8, ge=1, description="The adapters' rank.")
    threshold: float = Field(
        default=IN_SCOPE, gt=0, le=1, description="From this similarity on a request belongs to an edit."
    )


SERAC = MethodInfo(
    name="serac",
    summary="A memory of edits, a scope classifier and a counterfactual model (Mitchell et al. 2022).",
    paper="Mitchell et al. 2022, arXiv 2206.06520",
    settings=SeracHyperparameters,
    implementation="sequela.editors.methods.serac.editor:Serac",
    location="prompt",
    needs_subject=False,
    needs_training=True,
)
