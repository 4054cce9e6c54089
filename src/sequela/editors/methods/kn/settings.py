"""KN: its settings, and what a listing tells of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.hyperparameters import Hyperparameters


class KnowledgeNeuronsHyperparameters(Hyperparameters):
    """KN's settings."""

    steps: int = Field(default=20, ge=1, description="m, the points of the integral.")
    adaptive_threshold: float = Field(
        default=0.2, ge=0, lt=1, description="A neuron counts above this part of the greatest attribution."
    )
    p: float = Field(
        default=0.4, ge=0, le=1, description="In which part of the prompts a neuron must count, at least."
    )
    n_contexts: int = Field(default=5, ge=0, description="Prompts in sampled contexts beside the bare one.")
    attributed: Literal["key", "preactivation"] = Field(
        default="key",
        description="The neurons: what enters the MLP's output projection, or its activation function.",
    )
    signed: bool = Field(default=True, description="Write with the sign of the neuron's activation.")
    old_scale: float = Field(default=1.0, ge=0, description="How much of the old answer is taken out.")
    new_scale: float = Field(default=8.0, ge=0, description="How much of the new answer is put in.")


KN = MethodInfo(
    name="kn",
    summary="Other values for the neurons that carry a fact (Dai et al. 2022).",
    paper="Dai et al. 2022, arXiv 2104.08696",
    settings=KnowledgeNeuronsHyperparameters,
    implementation="sequela.editors.methods.kn.editor:KnowledgeNeurons",
    takes_batches=False,
)
