"""How to change a fact: the methods, what they share, and editing in batches."""

from typing import TYPE_CHECKING

from sequela.core.lazy import lazy_names

if TYPE_CHECKING:
    from sequela.editors.bad_edit_policy import BadEditPolicy
    from sequela.editors.base import AnyEditor, Editor, EditorState, EditReport, Outcome, Resources
    from sequela.editors.catalog import MethodInfo
    from sequela.editors.registry import (
        create_editor,
        describe_editors,
        editor_class,
        editor_names,
        method_info,
    )

__all__ = [
    "AnyEditor",
    "BadEditPolicy",
    "EditReport",
    "Editor",
    "EditorState",
    "MethodInfo",
    "Outcome",
    "Resources",
    "create_editor",
    "describe_editors",
    "editor_class",
    "editor_names",
    "method_info",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "sequela.editors.bad_edit_policy": ("BadEditPolicy",),
        "sequela.editors.base": (
            "AnyEditor",
            "Editor",
            "EditorState",
            "EditReport",
            "Outcome",
            "Resources",
        ),
        "sequela.editors.catalog": ("MethodInfo",),
        "sequela.editors.registry": (
            "create_editor",
            "describe_editors",
            "editor_class",
            "editor_names",
            "method_info",
        ),
    },
)
