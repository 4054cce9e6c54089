"""SERAC's settings and record."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt

from sequela.core.validation import Count
from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.shared.settings import TrainedHyperparameters
from sequela.models.aliases import MINILM

IN_SCOPE = 0.5
"""The default minimum similarity of a request in an edit's scope."""


class SeracHyperparameters(TrainedHyperparameters):
    """SERAC's settings; training depends on all except the threshold."""

    encoder: str = Field(
        default=MINILM, description="The sentence encoder with which the classifier is initialized."
    )
    counterfactual: str | None = Field(
        default=None,
        description="The model that answers in an edit's scope, with the same tokenizer; by default the "
        "model itself.",
    )
    layers: tuple[NonNegativeInt, ...] | None = Field(
        default=None,
        min_length=1,
        description="The counterfactual model's layers with adapters; by default the upper half.",
    )
    rank: Count = Field(default=8, ge=1, description="The adapters' rank.")
    threshold: float = Field(
        default=IN_SCOPE, gt=0, le=1, description="The minimum similarity of a request in an edit's scope."
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
