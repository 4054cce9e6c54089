"""The methods by name, ours and those of installed plug-ins.

A package adds methods through the entry-point group `sequela.editors`; each entry
point names a class derived from `Editor`. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from sequela.editors.editor import AnyEditor, Editor
from sequela.editors.restraints import JOIN, RESTRAINTS, AnyRestraint, RestrainedEditor
from sequela.ground.errors import BadInputError, UnknownNameError, near_matches

ENTRY_POINT_GROUP = "sequela.editors"

BUILT_IN: Mapping[str, str] = {
    "alphaedit": "sequela.editors.alphaedit:AlphaEdit",
    "emmet": "sequela.editors.emmet:Emmet",
    "ft-l": "sequela.editors.fine_tuning:FineTuningLast",
    "ft-m": "sequela.editors.fine_tuning:FineTuningMasked",
    "grace": "sequela.editors.grace:Grace",
    "ike": "sequela.editors.ike:Ike",
    "kn": "sequela.editors.kn:KnowledgeNeurons",
    "lora": "sequela.editors.lora:Lora",
    "malmen": "sequela.editors.malmen:Malmen",
    "melo": "sequela.editors.melo:Melo",
    "memit": "sequela.editors.memit:Memit",
    "mend": "sequela.editors.mend:Mend",
    "pmet": "sequela.editors.pmet:Pmet",
    "rome": "sequela.editors.rome:Rome",
    "serac": "sequela.editors.serac:Serac",
    "ultraedit": "sequela.editors.ultraedit:UltraEdit",
    "wise": "sequela.editors.wise:Wise",
}
"""Method names and where their classes are."""


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

    Args:
        name: A method, alone or with restraints: `memit`, `memit+rect`, `rome+nas+prune`.
        settings: The method's settings; those of a restraint stand under the restraint's name.

    Raises:
        UnknownNameError: No such method or restraint.
        BadInputError: A setting is unknown or has a wrong value, or a restraint doesn't fit the method.
    """
    method, *names = name.split(JOIN)
    cls, given = editor_class(method), dict(settings or {})
    restraints = [restraint_class(one) for one in names]
    own = [one(_checked(one.name, one.settings_class, given.pop(one.name, {}))) for one in restraints]
    editor: AnyEditor = cls(_checked(method, cls.hyperparameters_class, given, *names))
    return RestrainedEditor(editor, own) if own else editor


def restraint_class(name: str) -> type[AnyRestraint]:
    """The class of a restraint.

    Raises:
        UnknownNameError: No such restraint; with near matches.
    """
    if name not in RESTRAINTS:
        raise UnknownNameError("restraint", name, sorted(RESTRAINTS))
    return RESTRAINTS[name]


def describe_editors() -> list[EditorDescription]:
    """What a listing tells about every method, and after them about every restraint."""
    methods = [_described(name, editor_class(name)) for name in editor_names()]
    return [*methods, *(_described_restraint(cls) for _, cls in sorted(RESTRAINTS.items()))]


def _loaded(point: EntryPoint) -> object:
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        raise BadInputError(
            f"The plug-in {point.name!r} ({point.value}) can't be imported: {error}",
            hint="Mend or uninstall the package that names it.",
        ) from error


def _described(name: str, cls: type[AnyEditor]) -> EditorDescription:
    return EditorDescription(
        name=name,
        kind="method",
        summary=cls.summary,
        seat=cls.seat,
        batch=cls.takes_batches,
        needs_subject=cls.needs_subject,
        needs_training=cls.needs_training,
        paper=cls.paper,
        origin=cls.__module__.partition(".")[0],
        hyperparameters=_told(cls.hyperparameters_class),
    )


def _described_restraint(cls: type[AnyRestraint]) -> EditorDescription:
    return EditorDescription(
        name=cls.name,
        kind="restraint",
        summary=cls.summary,
        seat="",
        batch=True,
        needs_subject=False,
        needs_training=False,
        paper=cls.paper,
        origin=cls.__module__.partition(".")[0],
        hyperparameters=_told(cls.settings_class),
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
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            near = near_matches(field, allowed)
            guess = f" Did you mean {near[0]!r}?" if near else ""
            lines.append(f"{name} has no setting {field!r}.{guess} Allowed: {', '.join(allowed)}.")
        else:
            lines.append(f"{name}: {field} = {problem['input']!r}: {problem['msg']}.")
    return "\n".join(lines)
