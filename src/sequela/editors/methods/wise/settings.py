"""WISE's settings and record."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt

from sequela.core.validation import Count
from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.hyperparameters import Hyperparameters


class WiseHyperparameters(Hyperparameters):
    """WISE's settings."""

    layers: tuple[NonNegativeInt] | None = Field(
        default=None,
        description="The layer with side memories, in a list; by default at five sixths of the depth.",
    )
    variant: Literal["retrieve", "merge"] = Field(
        default="retrieve",
        description="`retrieve` keeps each merged memory separately; `merge` merges all shards into one.",
    )
    num_steps: Count = Field(
        default=70, ge=1, description="The maximum number of gradient steps for an edit."
    )
    lr: float = Field(default=0.1, gt=0, description="The learning rate (published: 1.0).")
    stop_below: float = Field(default=0.02, ge=0, description="The total loss below which training ends.")
    margins: Literal["relative", "absolute"] = Field(
        default="relative",
        description="`relative` measures activations in units of the norm of the projection's output on "
        "unrelated text and adapts the learning rate; `absolute` uses them unscaled, as published.",
    )
    alpha: float = Field(default=0.25, ge=0, description="The maximum activation on unrelated text.")
    beta: float = Field(default=1.0, ge=0, description="The minimum activation on an edit.")
    gamma: float = Field(default=0.5, ge=0, description="The minimum difference between the two.")
    act_ratio: float = Field(
        default=0.88,
        gt=0,
        description="The fraction of the least activation on a memory's edits from which on it is used.",
    )
    mask_ratio: float = Field(
        default=0.2, gt=0, le=1, description="The fraction of a copy's entries that a shard may change."
    )
    norm_constraint: float | None = Field(
        default=1.0, gt=0, description="The bound on each entry's change; none if null."
    )
    shard_size: Count = Field(
        default=500, ge=1, description="The number of edits in a shard (published: save_freq)."
    )
    shards_per_merge: Count = Field(
        default=2,
        ge=2,
        description="The number of full shards that are merged (published: merge_freq / save_freq).",
    )
    density: float = Field(
        default=0.53, gt=0, le=1, description="The fraction of each copy's entries kept in merging."
    )
    n_contexts: Count = Field(
        default=10, ge=1, description="The number of contexts sampled in addition to the bare prompt."
    )
    neighborhood: bool = Field(
        default=False,
        description="Also use an edit's neighborhood prompts, on which locality is measured, as unrelated "
        "text.",
    )


WISE = MethodInfo(
    name="wise",
    summary="Side memories of one MLP layer, selected by activation (Wang et al. 2024).",
    paper="Wang et al. 2024, arXiv 2405.14768",
    settings=WiseHyperparameters,
    implementation="sequela.editors.methods.wise.editor:Wise",
    location="activations",
    takes_batches=False,
    needs_subject=False,
)
