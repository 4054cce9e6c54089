"""How to change a fact: one file per method, one shared locate-then-edit core."""

from typing import TYPE_CHECKING

from sequela.core.lazy import lazy_names

if TYPE_CHECKING:
    from sequela.editors.bad_edits import BadEditPolicy
    from sequela.editors.catalog import MethodInfo
    from sequela.editors.editor import AnyEditor, Editor, EditorState, EditReport, Outcome, Resources
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
        "sequela.editors.bad_edits": ("BadEditPolicy",),
        "sequela.editors.catalog": ("MethodInfo",),
        "sequela.editors.editor": (
            "AnyEditor",
            "Editor",
            "EditorState",
            "EditReport",
            "Outcome",
            "Resources",
        ),
        "sequela.editors.registry": (
            "create_editor",
            "describe_editors",
            "editor_class",
            "editor_names",
            "method_info",
        ),
    },
)
