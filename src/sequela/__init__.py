"""Sequela edits the knowledge of language models and measures the effects and the cost of each edit."""

from typing import TYPE_CHECKING

from sequela.core.lazy import lazy_names

if TYPE_CHECKING:
    from sequela.api import Model, load_model
    from sequela.editors import create_editor
    from sequela.edits import Edit, EditSet, Probe, load_edits

__version__ = "0.1.0"

__all__ = ["Edit", "EditSet", "Model", "Probe", "create_editor", "load_edits", "load_model"]

if not TYPE_CHECKING:  # a `__getattr__` would make type checkers accept any name
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sequela.api": (
                "Model",
                "load_model",
            ),
            "sequela.editors": ("create_editor",),
            "sequela.edits": (
                "Edit",
                "EditSet",
                "Probe",
                "load_edits",
            ),
        },
    )
