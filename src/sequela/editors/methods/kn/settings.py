"""KN's settings and record."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sequela.core.validation import Count
from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.hyperparameters import Hyperparameters


class KnowledgeNeuronsHyperparameters(Hyperparameters):
    """KN's settings."""

    steps: Count = Field(default=20, ge=1, description="m, the number of points of the integral.")
    adaptive_threshold: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="The fraction of the greatest attribution above which a neuron counts for a prompt.",
    )
    p: float = Field(
        default=0.4, ge=0, le=1, description="The minimum fraction of prompts for which a neuron must count."
    )
    n_contexts: Count = Field(
        default=5, ge=0, description="The number of contexts sampled in addition to the bare prompt."
    )
    attributed: Literal["key", "preactivation"] = Field(
        default="key",
        description="The neurons: the input of the MLP's output projection, or of its activation function.",
    )
    signed: bool = Field(default=True, description="Multiply by the sign of the neuron's activation.")
    old_scale: float = Field(default=1.0, ge=0, description="The factor of the old answer's embedding.")
    new_scale: float = Field(default=8.0, ge=0, description="The factor of the new answer's embedding.")


KN = MethodInfo(
    name="kn",
    summary="Changed values of the neurons that store a fact (Dai et al. 2022).",
    paper="Dai et al. 2022, arXiv 2104.08696",
    settings=KnowledgeNeuronsHyperparameters,
    implementation="sequela.editors.methods.kn.editor:KnowledgeNeurons",
    takes_batches=False,
)
