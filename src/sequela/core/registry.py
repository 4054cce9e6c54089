"""Registries of objects that are chosen by name, built in or provided by an installed package.

A package provides an entry by an entry point in the registry's group. Nothing is imported before it is
requested. A package that can't be used is an error only if one of its entries is requested; listings show its
entries with the problem.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from sequela.core.arguments import check_choice
from sequela.core.errors import BadInputError, shown

T = TypeVar("T")


@dataclass(frozen=True)
class Origin:
    """The installed distribution that an entry comes from.

    Args:
        distribution: The distribution's name, as pip knows it.
        version: Its version; empty for built-in entries.
    """

    distribution: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".rstrip()


SEQUELA = Origin("sequela")
"""The origin of everything built in."""


@dataclass(frozen=True)
class Listed(Generic[T]):
    """An entry of a listing.

    Args:
        name: Its name.
        origin: The distribution it comes from.
        value: The entry; None if it can't be used.
        problem: The reason why it can't be used; empty if it can.
    """

    name: str
    origin: Origin
    value: T | None
    problem: str = ""


@dataclass(frozen=True)
class Registry(Generic[T]):
    """A mapping from names to entries, extensible by packages.

    Args:
        kind: The kind of the entries, as runs store it, e.g. `edit source`.
        group: The group of entry points by which packages provide further entries.
        built_in: Returns the built-in entries by name: each an object, or its location as
            `module:attribute`.
        check: Returns the entry for an imported object; raises `ValueError`, with or without a reason, if
            it is not one.
        expected: The description, in messages, of the object that an entry point must name.
        word: The word for an entry in messages, if it isn't the kind.
    """

    kind: str
    group: str
    built_in: Callable[[], Mapping[str, T | str]]
    check: Callable[[str, object], T]
    expected: str
    word: str = ""

    @property
    def noun(self) -> str:
        """The word for an entry in messages."""
        return self.word or self.kind

    def names(self) -> tuple[str, ...]:
        """Returns all names, the built-in ones first; imports no package."""
        built_in = self.built_in()
        return (*built_in, *sorted(self._points().keys() - built_in.keys()))

    def require(self, name: str) -> None:
        """Checks that a name is known; imports no package.

        Raises:
            UnknownNameError: No entry has the name; the error has near matches.
            BadInputError: The name is not a string.
        """
        check_choice(self.noun, name, self.names())

    def get(self, name: str) -> T:
        """Returns the entry of a name.

        Raises:
            UnknownNameError: No entry has the name; the error has near matches.
            BadInputError: The package that provides it fails to import, provides another kind of object, or
                uses a name that is taken.
        """
        self.require(name)
        built_in, points = self.built_in(), self._points().get(name, ())
        if len(points) + (name in built_in) > 1:
            raise self._taken(name, points)
        if points:
            return self._from_package(points[0])
        entry = built_in[name]
        return imported(entry) if isinstance(entry, str) else entry

    def origin(self, name: str) -> Origin:
        """Returns the distribution that a name comes from; imports no package.

        Raises:
            UnknownNameError: No entry has the name.
        """
        self.require(name)
        return SEQUELA if name in self.built_in() else _origin(self._points()[name][0])

    def listed(self) -> Iterator[Listed[T]]:
        """Yields every entry; an unusable one has the reason as its `problem`."""
        built_in, points = self.built_in(), self._points()
        for name in self.names():
            if name in built_in:
                entry = built_in[name]
                yield Listed(name, SEQUELA, imported(entry) if isinstance(entry, str) else entry)
            for point in points.get(name, ()):
                try:
                    yield Listed(name, _origin(point), self.get(name))
                except BadInputError as error:
                    yield Listed(name, _origin(point), None, error.message)

    def load(self, name: str, location: str) -> Any:
        """Imports the implementation that an entry names.

        Args:
            name: The entry's name.
            location: The location of the implementation, as `module:attribute`.

        Raises:
            BadInputError: The implementation belongs to a package and can't be imported.
        """
        if self.origin(name) == SEQUELA:
            return imported(location)
        try:
            return imported(location)
        except (Exception, SystemExit) as error:  # a package's module may raise any error, or even exit
            raise self._not_importable(name, location, self.origin(name), error) from error

    def misfit(self, name: str, found: object, reason: str = "") -> BadInputError:
        """Returns the error for an object that is not a valid entry."""
        origin = self.origin(name)
        return BadInputError(
            f"The package {origin} provides the {self.noun} {name!r} as {shown(found)}, which "
            f"{reason or f'is not {self.expected}'}.",
            hint=f"The entry point must name {self.expected}. Update or uninstall {origin.distribution}, or "
            "ask its authors.",
        )

    def _points(self) -> dict[str, tuple[EntryPoint, ...]]:
        found: dict[str, tuple[EntryPoint, ...]] = {}
        for point in _entry_points(self.group, tuple(sys.path)):
            found[point.name] = (*found.get(point.name, ()), point)
        return found

    def _from_package(self, point: EntryPoint) -> T:
        try:
            found = point.load()
        except (Exception, SystemExit) as error:  # a package's module may raise any error, or even exit
            raise self._not_importable(point.name, point.value, _origin(point), error) from error
        try:
            return self.check(point.name, found)
        except ValueError as error:
            raise self.misfit(point.name, found, str(error)) from error

    def _not_importable(
        self, name: str, location: str, origin: Origin, error: BaseException
    ) -> BadInputError:
        return BadInputError(
            f"The {self.noun} {name!r} of the package {origin} ({location}) can't be imported: "
            f"{type(error).__name__}: {error}",
            hint=f"Install what it needs, or update or uninstall {origin.distribution}.",
        )

    def _taken(self, name: str, points: tuple[EntryPoint, ...]) -> BadInputError:
        origins = [_origin(point) for point in points]
        others = [SEQUELA] if name in self.built_in() else []
        owners = " and ".join(str(origin) for origin in (*others, *origins))
        return BadInputError(
            f"The name {name!r} is taken: {owners} each provide {article(self.noun)} {self.noun} of that "
            "name.",
            hint=f"Uninstall {' or '.join(origin.distribution for origin in origins)}, or ask its authors "
            "for another name.",
        )


def imported(location: str) -> Any:
    """Imports and returns the object at `module:attribute`."""
    module, _, attribute = location.partition(":")
    return getattr(import_module(module), attribute)


def instance_of(*classes: type[T]) -> Callable[[str, object], T]:
    """Returns a check that an object is an instance of one of these classes, with its entry point's name."""

    def check(name: str, found: object) -> T:
        if not isinstance(found, classes):
            raise ValueError("")
        check_name(name, found)
        return found

    return check


def check_name(name: str, found: object) -> None:
    """Checks that an object's own name is that of its entry point.

    Raises:
        ValueError: The names differ.
    """
    own = getattr(found, "name", name)
    if own != name:
        raise ValueError(f"has the name {own!r}")


def article(word: str) -> str:
    """Returns the indefinite article of a word."""
    return "an" if word[0] in "aeiou" else "a"


def _origin(point: EntryPoint) -> Origin:
    if point.dist is None:
        return Origin("(unknown)")
    return Origin(point.dist.metadata["Name"], point.dist.version)


@cache
def _entry_points(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Returns a group's entry points; they are read once per module search path."""
    return tuple(entry_points(group=group))
