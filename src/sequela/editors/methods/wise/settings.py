"""WISE: its settings, and what a listing tells of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt

from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.hyperparameters import Hyperparameters


class WiseHyperparameters(Hyperparameters):
    """WISE's settings."""

    layers: tuple[NonNegativeInt] | None = Field(
        default=None, description="The layer that has copies, in a list; by default five sixths up."
    )
    variant: Literal["retrieve", "merge"] = Field(
        default="retrieve",
        description="Whether what is merged stays a side memory of its own, or all shards end up in one.",
    )
    num_steps: int = Field(default=70, ge=1, description="The most gradient steps for an edit.")
    lr: float = Field(default=0.1, gt=0, description="The gradient steps' learning rate (published: 1.0).")
    stop_below: float = Field(default=0.02, ge=0, description="The whole loss at which training ends.")
    margins: Literal["relative", "absolute"] = Field(
        default="relative",
        description="Whether activations are told in the norm that the projection's output has on ordinary "
        "text, with a learning rate to match, or, as published, as they are.",
    )
    alpha: float = Field(default=0.25, ge=0, description="The most activation of unrelated text.")
    beta: float = Field(default=1.0, ge=0, description="The least activation of an edit.")
    gamma: float = Field(default=0.5, ge=0, description="The least distance between the two.")
    act_ratio: float = Field(
        default=0.88,
        gt=0,
        description="The part of the least activation on a memory's edits at which the memory answers.",
    )
    mask_ratio: float = Field(
        default=0.2, gt=0, le=1, description="The share of a copy's entries that a shard may change."
    )
    norm_constraint: float | None = Field(
        default=1.0, gt=0, description="Bound of each entry's change; none if null."
    )
    shard_size: int = Field(default=500, ge=1, description="The edits of a shard (published: save_freq).")
    shards_per_merge: int = Field(
        default=2, ge=2, description="The full shards that are merged (published: merge_freq / save_freq)."
    )
    density: float = Field(
        default=0.53, gt=0, le=1, description="The share of each copy's entries that merging keeps."
    )
    n_contexts: int = Field(default=10, ge=1, description="Sampled contexts beside the bare prompt.")
    neighborhood: bool = Field(
        default=False,
        description="Whether an edit's neighborhood prompts count as unrelated text too, the very ones that "
        "locality is measured on.",
    )


WISE = MethodInfo(
    name="wise",
    summary="Side memories beside one MLP layer, told apart by activation (Wang et al. 2024).",
    paper="Wang et al. 2024, arXiv 2405.14768",
    settings=WiseHyperparameters,
    implementation="sequela.editors.methods.wise.editor:Wise",
    location="activations",
    takes_batches=False,
    needs_subject=False,
)
