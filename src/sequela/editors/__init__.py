"""Editing methods, their shared building blocks, and editing in batches.

A package that provides a method or a regularizer needs only the names exported here.
"""

from typing import TYPE_CHECKING

from sequela.core.lazy import lazy_names

if TYPE_CHECKING:
    from sequela.editors.bad_edit_policy import BadEditPolicy
    from sequela.editors.base import (
        AnyEditor,
        Editor,
        EditorState,
        EditOutcome,
        EditReport,
        NoState,
        Resources,
        relative_norms,
    )
    from sequela.editors.catalog import MethodInfo, RegularizerInfo, RegularizerSettings
    from sequela.editors.hyperparameters import Hyperparameters
    from sequela.editors.listing import EditorDescription, describe_editors
    from sequela.editors.one_by_one import OneByOneEditor
    from sequela.editors.registry import create_editor, editor_class, editor_names, method_info
    from sequela.editors.regularizers.base import Regularizer

__all__ = [
    "AnyEditor",
    "BadEditPolicy",
    "EditOutcome",
    "EditReport",
    "Editor",
    "EditorDescription",
    "EditorState",
    "Hyperparameters",
    "MethodInfo",
    "NoState",
    "OneByOneEditor",
    "Regularizer",
    "RegularizerInfo",
    "RegularizerSettings",
    "Resources",
    "create_editor",
    "describe_editors",
    "editor_class",
    "editor_names",
    "method_info",
    "relative_norms",
]

if not TYPE_CHECKING:  # a `__getattr__` would make type checkers accept any name
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sequela.editors.bad_edit_policy": ("BadEditPolicy",),
            "sequela.editors.base": (
                "AnyEditor",
                "Editor",
                "EditorState",
                "EditReport",
                "NoState",
                "EditOutcome",
                "Resources",
                "relative_norms",
            ),
            "sequela.editors.catalog": ("MethodInfo", "RegularizerInfo", "RegularizerSettings"),
            "sequela.editors.hyperparameters": ("Hyperparameters",),
            "sequela.editors.listing": ("EditorDescription", "describe_editors"),
            "sequela.editors.one_by_one": ("OneByOneEditor",),
            "sequela.editors.registry": ("create_editor", "editor_class", "editor_names", "method_info"),
            "sequela.editors.regularizers.base": ("Regularizer",),
        },
    )
