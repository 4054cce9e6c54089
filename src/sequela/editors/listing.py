"""Descriptions of the methods and regularizers, for listings; PyTorch is not imported for those built in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from sequela.core.registry import Listed
from sequela.editors.catalog import MethodInfo, RegularizerInfo
from sequela.editors.registry import METHOD_REGISTRY, REGULARIZER_REGISTRY


@dataclass(frozen=True)
class EditorDescription:
    """What a listing tells about a method or a regularizer.

    Args:
        name: Its name; a regularizer is joined to a method's with `+`.
        kind: `method` or `regularizer`.
        summary: What it does.
        location: Where edits sit: `weights`, `activations` or `prompt`; empty for a regularizer.
        batch: Whether edits can be made together.
        needs_subject: Whether an edit must name its subject.
        needs_training: Whether it must be trained before it can edit.
        paper: The paper it is from.
        origin: The distribution it comes from, with its version if it isn't Sequela.
        hyperparameters: Per setting, its meaning and default.
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
    """A description of every method, and after them of every regularizer."""
    methods = sorted(METHOD_REGISTRY.listed(), key=lambda one: one.name)
    regularizers = sorted(REGULARIZER_REGISTRY.listed(), key=lambda one: one.name)
    return [*map(_described_method, methods), *map(_describe_regularizer, regularizers)]


def _described_method(one: Listed[MethodInfo]) -> EditorDescription:
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
        hyperparameters=_told(info.settings) if info else {},
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
        hyperparameters=_told(info.settings) if info else {},
        problem=one.problem,
    )


def _told(settings: type[BaseModel]) -> dict[str, str]:
    return {
        field: f"{info.description or ''} [default: {info.get_default(call_default_factory=True)}]"
        for field, info in settings.model_fields.items()
    }
