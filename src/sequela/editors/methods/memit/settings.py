"""MEMIT's settings and record."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.shared.locate_settings import MultiLayerHyperparameters


class MemitHyperparameters(MultiLayerHyperparameters):
    """MEMIT's settings."""

    mom2_update_weight: float | None = Field(
        default=None,
        gt=0,
        description="lambda, the weight of C, which preserves the values of other keys; by default d_ff.",
    )
    norm_weight: float = Field(
        default=0.0, ge=0, description="The weight of the change's squared norm; set by the regularizer norm."
    )
    history: bool = Field(default=False, description="Also preserve the values of earlier batches' keys.")


class MemitHistoryHyperparameters(MemitHyperparameters):
    """The settings of MEMIT with history."""

    history: Literal[True] = Field(default=True, description="Always true; `memit` has it as an option.")


MEMIT = MethodInfo(
    name="memit",
    summary="A batch least-squares change of several MLP layers (Meng et al. 2023).",
    paper="Meng et al. 2023, arXiv 2210.07229",
    settings=MemitHyperparameters,
    implementation="sequela.editors.methods.memit.editor:Memit",
)

MEMIT_HISTORY = MethodInfo(
    name="memit-history",
    summary="MEMIT that also preserves the values of earlier edits' keys; the baseline of long runs.",
    paper="Meng et al. 2023, arXiv 2210.07229; with history: Fang et al. 2025, arXiv 2410.02355",
    settings=MemitHistoryHyperparameters,
    implementation="sequela.editors.methods.memit.editor:MemitHistory",
    presets_of="memit",
)
