"""Verdicts on stored results: which scores are invalid, which models collapsed, which edits are gone."""

from typing import TYPE_CHECKING

from sequela.core.lazy import lazy_names

if TYPE_CHECKING:
    from sequela.analysis.collapse import PERPLEXITY_FACTOR, Collapse, Collapses
    from sequela.analysis.forgetting import Unexpressed, hardly_expressed
    from sequela.analysis.validity import Flag, JudgedMeasurement, judged

__all__ = [
    "PERPLEXITY_FACTOR",
    "Collapse",
    "Collapses",
    "Flag",
    "JudgedMeasurement",
    "Unexpressed",
    "hardly_expressed",
    "judged",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "sequela.analysis.collapse": (
            "PERPLEXITY_FACTOR",
            "Collapse",
            "Collapses",
        ),
        "sequela.analysis.forgetting": (
            "Unexpressed",
            "hardly_expressed",
        ),
        "sequela.analysis.validity": (
            "Flag",
            "JudgedMeasurement",
            "judged",
        ),
    },
)
