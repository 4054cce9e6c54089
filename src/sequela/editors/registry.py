"""The methods by name, ours and those of installed plug-ins.

A package adds methods through the entry-point group `sequela.editors`; each entry point names a class
derived from `Editor`, or the class's record (`MethodInfo`), which lists without importing PyTorch. Nothing
is imported before it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ValidationError

from sequela.core.errors import BadInputError, UnknownNameError, near_matches
from sequela.core.validation import problems_in
from sequela.editors.catalog import JOIN, METHODS, RESTRAINTS, MethodInfo, RestraintInfo, RestraintSettings

if TYPE_CHECKING:
    from sequela.editors.base import AnyEditor
    from sequela.editors.regularizers.base import AnyRestraint

ENTRY_POINT_GROUP = "sequela.editors"


@dataclass(frozen=True)
class EditorDescription:
    """What a listing tells about a method or a restraint.

    Args:
        name: Its name; a restraint is joined to a method's with `+`.
        kind: `method` or `restraint`.
        summary: What it does.
        seat: Where edits sit: `weights`, `activations` or `requests`; empty for a restraint.
        batch: Whether edits can be made together.
        needs_subject: Whether an edit must name its subject.
        needs_training: Whether it must be trained before it can edit.
        paper: The paper it is from.
        origin: The package it comes from.
        hyperparameters: Per setting, its meaning and default.
    """

    name: str
    kind: Literal["method", "restraint"]
    summary: str
    seat: str
    batch: bool
    needs_subject: bool
    needs_training: bool
    paper: str
    origin: str
    hyperparameters: dict[str, str]


@dataclass(frozen=True)
class CheckedEditor:
    """A method with settings that it takes, and its restraints, before any of them is made.

    Args:
        info: The method with its restraints: its name is the whole one.
        method: The method's name alone.
        settings: Its settings.
        restraints: The restraints in order, each with its settings.
    """

    info: MethodInfo
    method: str
    settings: BaseModel
    restraints: tuple[tuple[RestraintInfo, RestraintSettings], ...]


def editor_names() -> list[str]:
    """All known method names, sorted."""
    return sorted({*METHODS, *_plug_ins()})


def method_info(name: str) -> MethodInfo:
    """The record of a method.

    Raises:
        UnknownNameError: No such method; with near matches.
        BadInputError: A plug-in can't be imported, or names neither an editor class nor a record.
    """
    if name in METHODS:
        return METHODS[name]
    found = _plug_in(name)
    info = getattr(found, "info", found)
    if not isinstance(info, MethodInfo):
        raise _no_editor(name, found)
    return info


def editor_class(name: str) -> type[AnyEditor]:
    """The class of a method.

    Raises:
        UnknownNameError: No such method; with near matches.
        BadInputError: A plug-in can't be imported, or its class is not an editor.
    """
    from sequela.editors.base import Editor

    if name in METHODS:
        found = _imported(METHODS[name].implementation)
    else:
        found = _plug_in(name)
        if isinstance(found, MethodInfo):
            found = _imported_plug_in(name, found.implementation)
    if not (isinstance(found, type) and issubclass(found, Editor)):
        raise _no_editor(name, found)
    return found


def check_editor(name: str, settings: Mapping[str, Any] | None = None) -> CheckedEditor:
    """Checks a method's name and settings without making it; PyTorch is not needed for ours.

    Args:
        name: A method, alone or with restraints: `memit`, `memit+rect`, `rome+nas+prune`.
        settings: The method's settings; those of a restraint stand under the restraint's name.

    Raises:
        UnknownNameError: No such method or restraint.
        BadInputError: A setting is unknown or has a wrong value, or a restraint doesn't fit the method.
    """
    method, *names = name.split(JOIN)
    info, given = method_info(method), dict(settings or {})
    restraints = [restraint_info(one) for one in names]
    own = tuple((one, _checked(one.name, one.settings, given.pop(one.name, {}))) for one in restraints)
    checked = _checked(method, info.settings, given, *names)
    for restraint in restraints:
        restraint.check_fits(info)
    return CheckedEditor(replace(info, name=name), method, checked, own)


def create_editor(name: str, settings: Mapping[str, Any] | None = None) -> AnyEditor:
    """Makes a method with given settings; what isn't given has its default.

    Args:
        name: A method, alone or with restraints: `memit`, `memit+rect`, `rome+nas+prune`.
        settings: The method's settings; those of a restraint stand under the restraint's name.

    Raises:
        UnknownNameError: No such method or restraint.
        BadInputError: A setting is unknown or has a wrong value, or a restraint doesn't fit the method.
    """
    checked = check_editor(name, settings)
    editor: AnyEditor = editor_class(checked.method)(checked.settings)
    if not checked.restraints:
        return editor
    from sequela.editors.regularizers.base import RestrainedEditor

    own: list[AnyRestraint] = [
        _imported(info.implementation)(settings) for info, settings in checked.restraints
    ]
    return RestrainedEditor(editor, own)


def restraint_info(name: str) -> RestraintInfo:
    """The record of a restraint.

    Raises:
        UnknownNameError: No such restraint; with near matches.
    """
    if name not in RESTRAINTS:
        raise UnknownNameError("restraint", name, sorted(RESTRAINTS))
    return RESTRAINTS[name]


def describe_editors() -> list[EditorDescription]:
    """What a listing tells about every method, and after them about every restraint."""
    methods = [_described(name) for name in editor_names()]
    return [*methods, *(_described_restraint(info) for _, info in sorted(RESTRAINTS.items()))]


def _imported(place: str) -> Any:
    """What stands at `module:attribute`."""
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


def _plug_ins() -> dict[str, str]:
    """The methods of other packages, each with the `module:attribute` of its class or record."""
    return {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}


def _plug_in(name: str) -> Any:
    """The class or the record of a method from another package."""
    places = _plug_ins()
    if name not in places:
        raise UnknownNameError("editor", name, editor_names())
    return _imported_plug_in(name, places[name])


def _imported_plug_in(name: str, place: str) -> Any:
    try:
        return _imported(place)
    except (ImportError, AttributeError) as error:
        raise BadInputError(
            f"The plug-in {name!r} ({place}) can't be imported: {error}",
            hint="Mend or uninstall the package that names it.",
        ) from error


def _no_editor(name: str, found: object) -> BadInputError:
    return BadInputError(
        f"The plug-in {name!r} names {found!r}, which is not an editor class.",
        hint="Name a class derived from `sequela.editors.Editor` that has its `info`, or that `MethodInfo`.",
    )


def _described(name: str) -> EditorDescription:
    info = method_info(name)
    place = _plug_ins()[name] if name not in METHODS else __name__
    return EditorDescription(
        name=name,
        kind="method",
        summary=info.summary,
        seat=info.seat,
        batch=info.takes_batches,
        needs_subject=info.needs_subject,
        needs_training=info.needs_training,
        paper=info.paper,
        origin=place.partition(":")[0].partition(".")[0],
        hyperparameters=_told(info.settings),
    )


def _described_restraint(info: RestraintInfo) -> EditorDescription:
    return EditorDescription(
        name=info.name,
        kind="restraint",
        summary=info.summary,
        seat="",
        batch=True,
        needs_subject=False,
        needs_training=False,
        paper=info.paper,
        origin=info.implementation.partition(".")[0],
        hyperparameters=_told(info.settings),
    )


def _told(settings: type[BaseModel]) -> dict[str, str]:
    return {
        field: f"{info.description or ''} [default: {info.get_default(call_default_factory=True)}]"
        for field, info in settings.model_fields.items()
    }


def _checked(name: str, cls: type[BaseModel], settings: Any, *further: str) -> Any:
    """Settings as the class has them; `further` are other keys that could have been meant.

    Raises:
        BadInputError: A setting is unknown or has a wrong value.
    """
    try:
        return cls.model_validate(settings)
    except ValidationError as error:
        raise BadInputError(_explained(name, [*cls.model_fields, *further], error)) from error


def _explained(name: str, allowed: list[str], error: ValidationError) -> str:
    lines = []
    for problem in problems_in(error):
        if problem.kind == "unknown":
            near = near_matches(problem.key, allowed)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            lines.append(f"{name} has no setting {problem.key!r}.{guess} Allowed: {', '.join(allowed)}.")
        else:
            lines.append(f"{name}: {problem.key} = {problem.given!r}: {problem.message}.")
    return "\n".join(lines)
