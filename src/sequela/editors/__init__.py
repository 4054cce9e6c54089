"""How to change a fact: one file per method, one shared locate-then-edit core."""

from sequela.editors.bad_edits import BadEditPolicy
from sequela.editors.editor import AnyEditor, Editor, EditorState, EditReport, Outcome, Resources
from sequela.editors.registry import create_editor, describe_editors, editor_class, editor_names

__all__ = [
    "AnyEditor",
    "BadEditPolicy",
    "EditReport",
    "Editor",
    "EditorState",
    "Outcome",
    "Resources",
    "create_editor",
    "describe_editors",
    "editor_class",
    "editor_names",
]
