"""PMET's record; its settings are MEMIT's."""

from __future__ import annotations

from sequela.editors.catalog_entry import MethodInfo
from sequela.editors.methods.memit.settings import MemitHyperparameters

PMET = MethodInfo(
    name="pmet",
    summary="MEMIT with attention's part removed from the targets (Li et al. 2024).",
    paper="Li et al. 2024, arXiv 2308.08742",
    settings=MemitHyperparameters,
    implementation="sequela.editors.methods.pmet.editor:Pmet",
)
