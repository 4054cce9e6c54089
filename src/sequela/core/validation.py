"""Conversion of pydantic's errors to sentences, for settings, study files, records and task files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from sequela.core.errors import near_matches
from sequela.core.numbers import MAX_SEED, MIN_SEED

Seed = Annotated[int, Field(ge=MIN_SEED, le=MAX_SEED)]
"""A seed of random numbers in settings."""

ProblemKind = Literal["missing", "unknown", "wrong"]

_KINDS: dict[str, ProblemKind] = {"missing": "missing", "extra_forbidden": "unknown"}


@dataclass(frozen=True)
class Problem:
    """One problem of a value.

    Args:
        location: The keys and indices that lead to the problem; empty for the value as a whole.
        kind: `missing` or `unknown` for a key, `wrong` for a value.
        message: The description of the problem, without a full stop.
        code: Pydantic's name for the error, such as `int_parsing`.
        given: The value; for a missing key the object that lacks it.
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
            allowed: The known keys, for a suggestion if a key is unknown.
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
    """Returns the problems of a value, in pydantic's order."""
    return [_problem(details) for details in error.errors()]


def in_words(error: ValidationError, noun: str = "field", allowed: Sequence[str] = ()) -> str:
    """Returns all problems of a value in one line, without a full stop.

    Args:
        error: Pydantic's error.
        noun: The word for a key: field, setting, option.
        allowed: The known keys, for a suggestion if a key is unknown.
    """
    return "; ".join(problem.in_words(noun, allowed) for problem in problems_in(error))


def suggestion(key: str, allowed: Sequence[str]) -> str:
    """Returns " (did you mean 'x'?)" for a misspelled key, or an empty string if no key is similar."""
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
