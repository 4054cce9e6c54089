"""The registries of methods and regularizers, both built in and provided by installed packages.

A package provides a method through the entry-point group `sequela.editors`: the entry point names a class
derived from `Editor`, or the class's record (`MethodInfo`), which can be listed without importing PyTorch.
Regularizers are provided likewise through `sequela.regularizers`. Entries are imported only when needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from sequela.core.arguments import as_path_text, check_table, check_text
from sequela.core.errors import BadInputError, near_matches, shown
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
    """Returns a check that an object is a record, or a class with a record as its `info`."""

    def check(name: str, found: object) -> R:
        info = getattr(found, "info", found)
        if not isinstance(info, kind):
            raise ValueError("")
        check_name(name, info)
        return replace(info, implementation=_import_path(found)) if isinstance(found, type) else info

    return check


def _import_path(cls: type) -> str:
    """Returns the import path of a class, as `module:attribute`."""
    return f"{cls.__module__}:{cls.__qualname__}"


METHOD_REGISTRY = Registry(
    kind="editor",
    word="method",
    group="sequela.editors",
    built_in=lambda: METHODS,
    check=_record(MethodInfo),
    expected="a class derived from `sequela.editors.Editor` with an `info`, or its `MethodInfo`",
)
"""The registry of editing methods."""

REGULARIZER_REGISTRY = Registry(
    kind="regularizer",
    group="sequela.regularizers",
    built_in=lambda: REGULARIZERS,
    check=_record(RegularizerInfo),
    expected="a class derived from `sequela.editors.Regularizer` with an `info`, or its `RegularizerInfo`",
)
"""The registry of regularizers."""


@dataclass(frozen=True)
class CheckedEditor:
    """A method and its regularizers with validated settings, before the editor is created.

    Args:
        info: The method's record, under its full name with the regularizers'.
        method: The method's name without regularizers.
        settings: The method's settings.
        regularizers: The regularizers in order, each with its settings.
    """

    info: MethodInfo
    method: str
    settings: BaseModel
    regularizers: tuple[tuple[RegularizerInfo, RegularizerSettings], ...]


def editor_names() -> list[str]:
    """Returns all known method names, sorted."""
    return sorted(METHOD_REGISTRY.names())


def method_info(name: str) -> MethodInfo:
    """Returns the record of a method.

    Raises:
        UnknownNameError: The method is unknown. The message suggests near matches.
        BadInputError: The package that provides the method can't be used.
    """
    return METHOD_REGISTRY.get(name)


def editor_class(name: str) -> type[AnyEditor]:
    """Returns the editor class of a method.

    Raises:
        UnknownNameError: The method is unknown. The message suggests near matches.
        BadInputError: The package that provides the method can't be used.
    """
    from sequela.editors.base import Editor

    found: type[AnyEditor] = _class(METHOD_REGISTRY, name, Editor)
    return found


def check_editor(name: str, settings: Mapping[str, Any] | None = None) -> CheckedEditor:
    """Checks a method's name and settings without creating the editor; built-in methods don't need PyTorch.

    Args:
        name: A method, alone or with regularizers: `memit`, `memit+rect`, `rome+nas+prune`.
        settings: The method's settings, and those of each regularizer as a mapping under its name.

    Raises:
        UnknownNameError: The method or a regularizer is unknown.
        BadInputError: A setting is unknown or invalid, or a regularizer can't be combined with the method.
    """
    check_text("name", name, "the name of a method")
    if settings is not None:
        check_table("settings", settings)
    method, *names = name.split(JOIN)
    info, given = method_info(method), {key: as_path_text(value) for key, value in (settings or {}).items()}
    regularizers = [regularizer_info(one) for one in names]
    own = tuple((one, _checked(one.name, one.settings, given.pop(one.name, {}))) for one in regularizers)
    checked = _checked(method, info.settings, given, *names)
    for regularizer in regularizers:
        regularizer.check_fits(info)
    return CheckedEditor(replace(info, name=name), method, checked, own)


def create_editor(name: str, settings: Mapping[str, Any] | None = None) -> AnyEditor:
    """Creates an editor with the given settings; missing settings have their defaults.

    Args:
        name: A method, alone or with regularizers: `memit`, `memit+rect`, `rome+nas+prune`.
        settings: The method's settings, and those of each regularizer as a mapping under its name.

    Raises:
        UnknownNameError: The method or a regularizer is unknown.
        BadInputError: A setting is unknown or invalid, or a regularizer can't be combined with the method.
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
    """Returns the record of a regularizer.

    Raises:
        UnknownNameError: The regularizer is unknown. The message suggests near matches.
        BadInputError: The package that provides the regularizer can't be used.
    """
    return REGULARIZER_REGISTRY.get(name)


def regularizer_class(name: str) -> type[AnyRegularizer]:
    """Returns the class of a regularizer.

    Raises:
        UnknownNameError: The regularizer is unknown. The message suggests near matches.
        BadInputError: The package that provides the regularizer can't be used.
    """
    from sequela.editors.regularizers.base import Regularizer

    found: type[AnyRegularizer] = _class(REGULARIZER_REGISTRY, name, Regularizer)
    return found


def _class(registry: Registry[R], name: str, base: type) -> Any:
    """Loads the class that a record names and checks that it is derived from `base`."""
    found = registry.load(name, registry.get(name).implementation)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise registry.misfit(name, found)
    return found


def _checked(name: str, cls: type[BaseModel], settings: Any, *further: str) -> Any:
    """Returns the validated settings; `further` are additional keys suggested for an unknown one.

    Raises:
        BadInputError: A setting is unknown or invalid.
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
            lines.append(f"{name}: {problem.key} = {shown(problem.given)}: {problem.message}.")
    return "\n".join(lines)
