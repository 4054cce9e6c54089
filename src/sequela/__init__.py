"""Sequela: edit the knowledge of language models, and measure what each edit changed, kept and cost."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["Edit", "EditSet", "Model", "Probe", "create_editor", "load_edits", "load_model"]

if TYPE_CHECKING:
    from sequela.api import Model, load_model
    from sequela.editors import create_editor
    from sequela.edits import Edit, EditSet, Probe, load_edits

_HOMES = {
    "Edit": "sequela.edits",
    "EditSet": "sequela.edits",
    "Model": "sequela.api",
    "Probe": "sequela.edits",
    "create_editor": "sequela.editors",
    "load_edits": "sequela.edits",
    "load_model": "sequela.api",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `import sequela` alone stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'sequela' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
