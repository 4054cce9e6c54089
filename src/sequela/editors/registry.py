"""The methods by name, ours and those of installed plug-ins.

A package adds methods through the entry-point group `sequela.editors`; each entry
point names a class derived from `Editor`. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError

from sequela.editors.editor import AnyEditor, Editor
from sequela.ground.errors import BadInputError, UnknownNameError, near_matches

ENTRY_POINT_GROUP = "sequela.editors"

BUILT_IN: Mapping[str, str] = {
    "alphaedit": "sequela.editors.alphaedit:AlphaEdit",
    "emmet": "sequela.editors.emmet:Emmet",
    "ft-m": "sequela.editors.fine_tuning:FineTuningMasked",
    "memit": "sequela.editors.memit:Memit",
    "pmet": "sequela.editors.pmet:Pmet",
    "rome": "sequela.editors.rome:Rome",
}
"""Method names and where their classes are."""


@dataclass(frozen=True)
class EditorDescription:
    """What a listing tells about a method.

    Args:
        name: The method's name.
        summary: What it does.
        origin: The package it comes from.
        hyperparameters: Per setting, its meaning and default.
    """

    name: str
    summary: str
    origin: str
    hyperparameters: dict[str, str]


def editor_names() -> list[str]:
    """All known method names, sorted."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINT_GROUP))})


def editor_class(name: str) -> type[AnyEditor]:
    """The class of a method.

    Raises:
        UnknownNameError: No such method; with near matches.
        BadInputError: A plug-in can't be imported, or its class is not an editor.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        found = getattr(import_module(module), attribute)
    else:
        points = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
        if name not in points:
            raise UnknownNameError("editor", name, editor_names())
        found = _loaded(points[name])
    if not (isinstance(found, type) and issubclass(found, Editor)):
        raise BadInputError(f"The plug-in {name!r} names {found!r}, which is not an editor class.")
    return found


def create_editor(name: str, settings: Mapping[str, Any] | None = None) -> AnyEditor:
    """Makes a method with given settings; what isn't given has its default.

    Raises:
        UnknownNameError: No such method.
        BadInputError: A setting is unknown or has a wrong value.
    """
    cls = editor_class(name)
    try:
        hyperparameters = cls.hyperparameters_class.model_validate(dict(settings or {}))
    except ValidationError as error:
        raise BadInputError(*_explained(name, cls, error)) from error
    return cls(hyperparameters)


def describe_editors() -> list[EditorDescription]:
    """What a listing tells about every method."""
    return [_described(name, editor_class(name)) for name in editor_names()]


def _loaded(point: EntryPoint) -> object:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise BadInputError(
            f"The plug-in {point.name!r} ({point.value}) can't be imported: {error}",
            hint="Mend or uninstall the package that names it.",
        ) from error


def _described(name: str, cls: type[AnyEditor]) -> EditorDescription:
    settings = {
        field: f"{info.description or ''} [default: {info.get_default(call_default_factory=True)}]"
        for field, info in cls.hyperparameters_class.model_fields.items()
    }
    return EditorDescription(name, cls.summary, cls.__module__.partition(".")[0], settings)


def _explained(name: str, cls: type[AnyEditor], error: ValidationError) -> tuple[str]:
    allowed = list(cls.hyperparameters_class.model_fields)
    lines = []
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            near = near_matches(field, allowed)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            lines.append(f"{name} has no setting {field!r}.{guess} Allowed: {', '.join(allowed)}.")
        else:
            lines.append(f"{name}: {field} = {problem['input']!r}: {problem['msg']}.")
    return ("\n".join(lines),)
