"""The methods and regularizers by name, built in or brought by installed packages.

A package brings a method through the entry-point group `sequela.editors`: the entry point names a class
derived from `Editor`, or the class's record (`MethodInfo`), which lists without importing PyTorch.
Regularizers come likewise through `sequela.regularizers`. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from sequela.core.errors import BadInputError, near_matches
from sequela.core.registry import Registry, check_name
from sequela.core.validation import problems_in
from sequela.editors.catalog import (
    JOIN,
    METHODS,
    REGULARIZERS,
    MethodInfo,
    RegularizerInfo,
    RegularizerSettings,
)

if TYPE_CHECKING:
    from sequela.editors.base import AnyEditor
    from sequela.editors.regularizers.base import AnyRegularizer


R = TypeVar("R", MethodInfo, RegularizerInfo)


def _record(kind: type[R]) -> Callable[[str, object], R]:
    """Returns the check that an object is a record, or a class that has it as its `info`."""

    def check(name: str, found: object) -> R:
        info = getattr(found, "info", found)
        if not isinstance(info, kind):
            raise ValueError("")
        check_name(name, info)
        return replace(info, implementation=_place(found)) if isinstance(found, type) else info

    return check


def _place(cls: type) -> str:
    """Returns the `module:attribute` where a class stands."""
    return f"{cls.__module__}:{cls.__qualname__}"


METHOD_REGISTRY = Registry(
    kind="editor",
    group="sequela.editors",
    built_in=lambda: METHODS,
    check=_record(MethodInfo),
    expected="a class derived from `sequela.editors.Editor` that has its `info`, or that `MethodInfo`",
)
"""The editing methods."""

REGULARIZER_REGISTRY = Registry(
    kind="regularizer",
    group="sequela.regularizers",
    built_in=lambda: REGULARIZERS,
    check=_record(RegularizerInfo),
    expected="a class derived from `sequela.editors.Regularizer` with its `info`, or that `RegularizerInfo`",
)
"""The regularizers."""


@dataclass(frozen=True)
class CheckedEditor:
    """A method with settings that it takes, and its regularizers, before any of them is made.

    Args:
        info: The method with its regularizers: its name is the whole one.
        method: The method's name alone.
        settings: Its settings.
        regularizers: The regularizers in order, each with its settings.
    """

    info: MethodInfo
    method: str
    settings: BaseModel
    regularizers: tuple[tuple[RegularizerInfo, RegularizerSettings], ...]


def editor_names() -> list[str]:
    """All known method names, sorted."""
    return sorted(METHOD_REGISTRY.names())


def method_info(name: str) -> MethodInfo:
    """The record of a method.

    Raises:
        UnknownNameError: No such method; with near matches.
        BadInputError: The package that brings it can't be used.
    """
    return METHOD_REGISTRY.get(name)


def editor_class(name: str) -> type[AnyEditor]:
    """The class of a method.

    Raises:
        UnknownNameError: No such method; with near matches.
        BadInputError: The package that brings it can't be used.
    """
    from sequela.editors.base import Editor

    found: type[AnyEditor] = _class(METHOD_REGISTRY, name, Editor)
    return found


def check_editor(name: str, settings: Mapping[str, Any] | None = None) -> CheckedEditor:
    """Checks a method's name and settings without making it; PyTorch is not needed for ours.

    Args:
        name: A method, alone or with regularizers: `memit`, `memit+rect`, `rome+nas+prune`.
        settings: The method's settings; those of a regularizer stand under the regularizer's name.

    Raises:
        UnknownNameError: No such method or regularizer.
        BadInputError: A setting is unknown or has a wrong value, or a regularizer doesn't fit the method.
    """
    method, *names = name.split(JOIN)
    info, given = method_info(method), dict(settings or {})
    regularizers = [regularizer_info(one) for one in names]
    own = tuple((one, _checked(one.name, one.settings, given.pop(one.name, {}))) for one in regularizers)
    checked = _checked(method, info.settings, given, *names)
    for regularizer in regularizers:
        regularizer.check_fits(info)
    return CheckedEditor(replace(info, name=name), method, checked, own)


def create_editor(name: str, settings: Mapping[str, Any] | None = None) -> AnyEditor:
    """Makes a method with given settings; what isn't given has its default.

    Args:
        name: A method, alone or with regularizers: `memit`, `memit+rect`, `rome+nas+prune`.
        settings: The method's settings; those of a regularizer stand under the regularizer's name.

    Raises:
        UnknownNameError: No such method or regularizer.
        BadInputError: A setting is unknown or has a wrong value, or a regularizer doesn't fit the method.
    """
    checked = check_editor(name, settings)
    editor: AnyEditor = editor_class(checked.method)(checked.settings)
    if not checked.regularizers:
        return editor
    from sequela.editors.regularizers.base import RegularizedEditor

    own: list[AnyRegularizer] = [
        regularizer_class(info.name)(settings) for info, settings in checked.regularizers
    ]
    return RegularizedEditor(editor, own)


def regularizer_info(name: str) -> RegularizerInfo:
    """The record of a regularizer.

    Raises:
        UnknownNameError: No such regularizer; with near matches.
        BadInputError: The package that brings it can't be used.
    """
    return REGULARIZER_REGISTRY.get(name)


def regularizer_class(name: str) -> type[AnyRegularizer]:
    """The class of a regularizer.

    Raises:
        UnknownNameError: No such regularizer; with near matches.
        BadInputError: The package that brings it can't be used.
    """
    from sequela.editors.regularizers.base import Regularizer

    found: type[AnyRegularizer] = _class(REGULARIZER_REGISTRY, name, Regularizer)
    return found


def _class(registry: Registry[R], name: str, base: type) -> Any:
    """The class that a record names, if it is derived from `base`."""
    found = registry.load(name, registry.get(name).implementation)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise registry.misfit(name, found)
    return found


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
