"""A base model plus edits: weight changes, interventions on activations, routers of prompts."""

from typing import TYPE_CHECKING

from sequela.core.lazy import lazy_names

if TYPE_CHECKING:
    from sequela.edited.delta import Delta
    from sequela.edited.edited_model import EditedModel
    from sequela.edited.updates import Dense, LowRank, WeightUpdate

__all__ = [
    "Delta",
    "Dense",
    "EditedModel",
    "LowRank",
    "WeightUpdate",
]

if not TYPE_CHECKING:  # a `__getattr__` would make type checkers accept any name
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sequela.edited.delta": ("Delta",),
            "sequela.edited.edited_model": ("EditedModel",),
            "sequela.edited.updates": (
                "Dense",
                "LowRank",
                "WeightUpdate",
            ),
        },
    )
