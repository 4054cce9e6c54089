"""Checks of stored results for invalid scores, collapsed models and forgotten edits."""

from typing import TYPE_CHECKING

from sequela.core.lazy import lazy_names

if TYPE_CHECKING:
    from sequela.analysis.collapse import PERPLEXITY_FACTOR, Collapse, Collapses
    from sequela.analysis.forgetting import ForgottenEdits, mostly_forgotten
    from sequela.analysis.validity import CheckedMeasurement, Flag, check_validity

__all__ = [
    "PERPLEXITY_FACTOR",
    "CheckedMeasurement",
    "Collapse",
    "Collapses",
    "Flag",
    "ForgottenEdits",
    "check_validity",
    "mostly_forgotten",
]

if not TYPE_CHECKING:  # a `__getattr__` would make type checkers accept any name
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sequela.analysis.collapse": (
                "PERPLEXITY_FACTOR",
                "Collapse",
                "Collapses",
            ),
            "sequela.analysis.forgetting": (
                "ForgottenEdits",
                "mostly_forgotten",
            ),
            "sequela.analysis.validity": (
                "Flag",
                "CheckedMeasurement",
                "check_validity",
            ),
        },
    )
