"""Checks of the arguments of public functions, so that a value of a wrong type is an error in words."""

from __future__ import annotations

import operator
import os
from collections.abc import Collection, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import TypeVar

from sequela.core.errors import BadInputError, UnknownNameError, shown
from sequela.core.numbers import MAX_SEED, MIN_SEED
from sequela.core.paths import user_path
from sequela.core.plain_values import text_problem

T = TypeVar("T")

SEEDS = range(MIN_SEED, MAX_SEED + 1)
"""The seeds that PyTorch and the results database take."""


def not_expected(name: str, value: object, expected: str, hint: str | None = None) -> BadInputError:
    """Returns the error for an argument that is not what a function expects.

    Args:
        name: The argument's name.
        value: Its value.
        expected: The description of what is expected, such as `a text`.
        hint: What to do, if it isn't obvious.
    """
    return BadInputError(f"`{name}` = {shown(value)} is not {expected}.", hint=hint)


def check_text(name: str, value: object, expected: str = "a text") -> None:
    """Checks that an argument is a string of characters that tokenizers and files take.

    Raises:
        BadInputError: It is not.
    """
    if not isinstance(value, str):
        raise not_expected(name, value, expected)
    if unusable := text_problem(value):
        raise BadInputError(f"`{name}` = {shown(value)} has {unusable}.")


def check_choice(kind: str, value: object, known: Collection[str]) -> None:
    """Checks that a value is one of the known names.

    Args:
        kind: The word for what the value names, such as `engine`.
        value: The value.
        known: The known names.

    Raises:
        UnknownNameError: The name is unknown.
        BadInputError: The value is not a string.
    """
    if not isinstance(value, str):
        article = "an" if kind[0] in "aeiou" else "a"
        raise BadInputError(
            f"{shown(value)} is not the name of {article} {kind}.", hint=f"Known: {', '.join(sorted(known))}."
        )
    if value not in known:
        raise UnknownNameError(kind, value, known)


def check_whole_number(name: str, value: object, at_least: int | None = None) -> int:
    """Returns an argument as an `int`; numbers of other libraries, such as NumPy's, are converted.

    Args:
        name: The argument's name.
        value: Its value.
        at_least: The least value allowed; None for no limit.

    Raises:
        BadInputError: It is not a whole number, or too small.
    """
    number = as_whole_number(value)
    if number is None or (at_least is not None and number < at_least):
        bound = "" if at_least is None else f" from {at_least} on"
        raise not_expected(name, value, f"a whole number{bound}")
    return number


def as_whole_number(value: object) -> int | None:
    """Returns a value as an `int`; None if it is not a whole number. A truth value is not one."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return None
    try:
        return operator.index(value)
    except TypeError:  # an array has the method, and is a number only if it has one element
        return None


def check_seed(name: str, value: object) -> int:
    """Returns an argument as a seed.

    Raises:
        BadInputError: It is not a whole number of at most 64 bits.
    """
    number = check_whole_number(name, value)
    if number not in SEEDS:
        raise not_expected(name, value, "a seed, a whole number of at most 64 bits")
    return number


def check_path(name: str, value: object) -> Path:
    """Returns an argument as a path.

    Raises:
        BadInputError: It is not the path of a file or folder, or nothing can have that path.
    """
    text = as_path_text(value)
    if isinstance(text, str) and text:
        return user_path(text)
    raise not_expected(name, value, "the path of a file or folder")


def as_path_text(value: object) -> object:
    """Returns the path that an object stands for as a text, and any other value unchanged."""
    return os.fspath(value) if isinstance(value, PathLike) else value


def check_table(name: str, value: object) -> None:
    """Checks that an argument maps names to values.

    Raises:
        BadInputError: It does not.
    """
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise not_expected(name, value, "a table of names and values", 'Write it as {"name": value}.')


def check_instance(
    name: str, value: object, kind: type | tuple[type, ...], expected: str, hint: str | None = None
) -> None:
    """Checks that an argument is an instance of a class.

    Args:
        name: The argument's name.
        value: Its value.
        kind: The class, or several.
        expected: The description of its instances, such as `an edit`.
        hint: What to do, if it isn't obvious.

    Raises:
        BadInputError: It is not.
    """
    if not isinstance(value, kind):
        raise not_expected(name, value, expected, hint)


def check_items(
    name: str, value: Iterable[T], kind: type | tuple[type, ...], item: str, hint: str | None = None
) -> tuple[T, ...]:
    """Returns the items of an argument that is a list.

    Args:
        name: The argument's name.
        value: Its value.
        kind: The class of the items, or several.
        item: The description of one item, such as `an edit`.
        hint: What to do, if it isn't obvious.

    Raises:
        BadInputError: It is not a list, or one of its items, named by its number, is something else.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise not_expected(name, value, f"{item} in a list", hint)
    items = tuple(value)
    for number, one in enumerate(items, start=1):
        if not isinstance(one, kind):
            raise BadInputError(f"Item {number} of `{name}`, {shown(one)}, is not {item}.", hint=hint)
    return items
