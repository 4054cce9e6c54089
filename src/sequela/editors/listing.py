"""Descriptions of the methods and regularizers for listings; built-in ones don't need PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from sequela.core.registry import Listed
from sequela.editors.catalog import MethodInfo, RegularizerInfo
from sequela.editors.registry import METHOD_REGISTRY, REGULARIZER_REGISTRY


@dataclass(frozen=True)
class EditorDescription:
    """A method's or regularizer's entry in a listing.

    Args:
        name: The name; a regularizer's is joined to a method's with `+`.
        kind: `method` or `regularizer`.
        summary: A one-line description.
        location: The location of its edits: `weights`, `activations` or `prompt`; empty for a regularizer.
        batch: True if several edits can be applied together.
        needs_subject: True if every edit must have a subject.
        needs_training: True if it must be trained before it can edit.
        paper: The paper that describes it.
        origin: The distribution that provides it, with its version if it isn't Sequela.
        hyperparameters: The description and default of each setting, by name.
        problem: The reason why it can't be used; empty if it can.
    """

    name: str
    kind: Literal["method", "regularizer"]
    summary: str
    location: str
    batch: bool
    needs_subject: bool
    needs_training: bool
    paper: str
    origin: str
    hyperparameters: dict[str, str]
    problem: str = ""


def describe_editors() -> list[EditorDescription]:
    """Returns descriptions of all methods, followed by those of all regularizers."""
    methods = sorted(METHOD_REGISTRY.listed(), key=lambda one: one.name)
    regularizers = sorted(REGULARIZER_REGISTRY.listed(), key=lambda one: one.name)
    return [*map(_describe_method, methods), *map(_describe_regularizer, regularizers)]


def _describe_method(one: Listed[MethodInfo]) -> EditorDescription:
    info = one.value
    return EditorDescription(
        name=one.name,
        kind="method",
        summary=info.summary if info else "",
        location=info.location if info else "",
        batch=info.takes_batches if info else False,
        needs_subject=info.needs_subject if info else False,
        needs_training=info.needs_training if info else False,
        paper=info.paper if info else "",
        origin=str(one.origin),
        hyperparameters=_describe_settings(info.settings) if info else {},
        problem=one.problem,
    )


def _describe_regularizer(one: Listed[RegularizerInfo]) -> EditorDescription:
    info = one.value
    return EditorDescription(
        name=one.name,
        kind="regularizer",
        summary=info.summary if info else "",
        location="",
        batch=True,
        needs_subject=False,
        needs_training=False,
        paper=info.paper if info else "",
        origin=str(one.origin),
        hyperparameters=_describe_settings(info.settings) if info else {},
        problem=one.problem,
    )


def _describe_settings(settings: type[BaseModel]) -> dict[str, str]:
    return {
        field: f"{info.description or ''} [default: {info.get_default(call_default_factory=True)}]"
        for field, info in settings.model_fields.items()
    }
