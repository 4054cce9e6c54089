"""LoRA's settings and record."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt

from sequela.core.validation import Count
from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.hyperparameters import Hyperparameters


class LoraHyperparameters(Hyperparameters):
    """LoRA's settings."""

    kind: Literal["lora", "adalora"] = Field(
        default="lora", description="The kind of adapters: LoRA with a fixed rank, or AdaLoRA."
    )
    layers: tuple[NonNegativeInt, ...] | None = Field(
        default=None, min_length=1, description="The layers to adapt; all by default."
    )
    target_modules: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="The names of a block's linear layers to adapt; by default attention's query and value.",
    )
    rank: Count = Field(default=8, ge=1, description="The adapters' rank; for AdaLoRA the final mean rank.")
    alpha: float = Field(default=32.0, gt=0, description="The adapters' scale, divided by the rank.")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Dropout before the adapters.")
    num_steps: Count = Field(default=30, ge=1, description="The maximum number of Adam steps.")
    lr: float = Field(default=5e-3, gt=0, description="Adam's learning rate.")
    weight_decay: float = Field(default=0.0, ge=0, description="Adam's weight decay.")


LORA = MethodInfo(
    name="lora",
    summary="Low-rank adapters trained on the edits and added to the weights (Hu et al. 2022).",
    paper="Hu et al. 2022, arXiv 2106.09685; Zhang et al. 2023, arXiv 2303.10512",
    settings=LoraHyperparameters,
    implementation="sequela.editors.methods.lora.editor:Lora",
    needs_subject=False,
    needs_loaded_weights=True,
)
