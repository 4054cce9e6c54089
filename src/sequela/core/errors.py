"""The errors that a user can cause, with messages that say what to do."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import ClassVar


class SequelaError(Exception):
    """An error that the user can act on; the command line prints it without a traceback.

    Args:
        message: A sentence that names the value and the problem.
        hint: A suggestion of what to do, if there is one.

    Attributes:
        exit_status: The exit status of a command that ends with the error.
        comes_back: Whether the same, tried again, surely ends with the same error.
    """

    exit_status: ClassVar[int] = 2
    comes_back: ClassVar[bool] = True

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n{self.hint}"


class UnknownNameError(SequelaError):
    """A name that is not registered, with the most similar known names."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        self.near = near_matches(name, known)
        if self.near:
            hint = f"Did you mean {' or '.join(repr(match) for match in self.near)}?"
        else:
            hint = f"Known: {listed(known)}."
        super().__init__(f"Unknown {kind} {name!r}.", hint=hint)


def listed(names: Sequence[str]) -> str:
    """Returns names as a message lists them: the first few, and the number of the others."""
    shown_names = ", ".join(names[:MOST_LISTED])
    others = len(names) - MOST_LISTED
    return shown_names if others <= 0 else f"{shown_names} and {others:,} others"


MOST_LISTED = 40
"""The greatest number of names that a message lists; every list of Sequela's own parts is shorter."""


class BadInputError(SequelaError):
    """A file or record that can't be used; the message names both."""


class TooFewItemsError(BadInputError):
    """A number of items that is above the number that there are.

    Args:
        suite: The suite.
        limit: The number.
        largest: How many there are, as a part of a sentence: `the largest category has 48 items`.
    """

    def __init__(self, suite: str, limit: int, largest: str) -> None:
        super().__init__(f"{suite}: the limit is {limit}; {largest}.", hint="Leave the limit out to run all.")
        self.largest = largest


class UnsupportedModelError(SequelaError):
    """A model whose architecture no family describes."""


class FingerprintMismatchError(SequelaError):
    """An object of one model is about to be used on another."""


class TransientError(SequelaError):
    """An error that may not come back if the same is tried again, as others do."""

    comes_back = False


class CantWriteError(TransientError):
    """The system refuses to write a file, such as on a full or read-only disk."""


class IntegrityError(TransientError):
    """A downloaded or stored file is damaged, incomplete or not the expected one."""


def shown(value: object) -> str:
    """Returns a value as messages show it: plain values as Python writes them, objects by their class.

    Long values are shortened. The representation of an object or a function, with its address in memory, says
    nothing to a user.
    """
    if inspect.isclass(value):
        return f"the class {value.__module__}.{value.__qualname__}"
    if inspect.isroutine(value):
        return f"the function {value.__qualname__}"
    if inspect.ismodule(value):
        return f"the module {value.__name__}"
    if isinstance(value, PathLike):
        return repr(str(value))
    if _is_plain(value):
        text = repr(value)
        return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name} object"


def _is_plain(value: object) -> bool:
    """Returns whether a value consists of texts, numbers, lists and tables only."""
    if isinstance(value, dict):
        return all(_is_plain(part) for item in value.items() for part in item)
    if type(value) in (list, tuple, set, frozenset):
        return all(map(_is_plain, value))  # type: ignore[call-overload]
    return value is None or type(value) in (str, bytes, bool, int, float, complex)


_LONGEST_SHOWN = 120
"""The greatest length of a value in a message, in characters."""


def near_matches(name: str, known: Iterable[str], limit: int = 3, cutoff: float = 0.5) -> list[str]:
    """Returns the known names that are similar to `name`, best first, ignoring case.

    Args:
        name: A name that may be misspelled.
        known: The names that exist.
        limit: The largest number of names to return.
        cutoff: The least similarity, from 0 (any name) to 1 (the same letters).
    """
    by_folded = {candidate.casefold(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.casefold(), list(by_folded), n=limit, cutoff=cutoff)
    return [by_folded[match] for match in matches]
