"""Pydantic's errors in words, for everything a user writes: settings, study files, records, task files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sequela.core.errors import near_matches

ProblemKind = Literal["missing", "unknown", "wrong"]

_KINDS: dict[str, ProblemKind] = {"missing": "missing", "extra_forbidden": "unknown"}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a value.

    Args:
        location: The keys and indices that lead to it; empty for the value as a whole.
        kind: Whether a key is missing, unknown, or has a wrong value.
        message: What is wrong with the value, without a full stop.
        code: Pydantic's name for the error, such as `int_parsing`.
        given: The value; of a missing key what it is missing from.
    """

    location: tuple[str | int, ...]
    kind: ProblemKind
    message: str
    code: str
    given: Any

    @property
    def key(self) -> str:
        """The location with dots, such as `edits.source`."""
        return ".".join(map(str, self.location))

    def in_words(self, noun: str = "field", allowed: Sequence[str] = ()) -> str:
        """Returns the problem as part of a sentence, such as "the field 'sourc' is unknown".

        Args:
            noun: The word for a key: field, setting, option.
            allowed: The keys there are; an unknown key is compared with them.
        """
        if self.kind == "missing":
            return f"the {noun} {self.key!r} is missing"
        if self.kind == "unknown":
            return f"the {noun} {self.key!r} is unknown{suggestion(str(self.location[-1]), allowed)}"
        if not self.location:
            return self.message
        if self.code == "value_error":
            return f"the {noun} {self.key!r} {self.message}"
        return f"the {noun} {self.key!r}: {self.message[:1].lower()}{self.message[1:]}"


def problems_in(error: ValidationError) -> list[Problem]:
    """Returns what is wrong with a value, in pydantic's order."""
    return [_problem(details) for details in error.errors()]


def in_words(error: ValidationError, noun: str = "field", allowed: Sequence[str] = ()) -> str:
    """Returns all that is wrong with a value in one line, without a full stop.

    Args:
        error: Pydantic's error.
        noun: The word for a key: field, setting, option.
        allowed: The keys there are; an unknown key is compared with them.
    """
    return "; ".join(problem.in_words(noun, allowed) for problem in problems_in(error))


def suggestion(key: str, allowed: Sequence[str]) -> str:
    """Returns " (did you mean 'x'?)" for a misspelled key, and nothing where none is near."""
    near = near_matches(key, allowed)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _problem(details: ErrorDetails) -> Problem:
    return Problem(
        location=details["loc"],
        kind=_KINDS.get(details["type"], "wrong"),
        message=details["msg"].removeprefix("Value error, "),
        code=details["type"],
        given=details["input"],
    )
