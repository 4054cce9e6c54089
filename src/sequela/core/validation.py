"""Conversion of pydantic's errors to sentences, for settings, study files, records and task files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from sequela.core.error_words import RAISED_BY_VALIDATORS, plain_message
from sequela.core.errors import BadInputError, near_matches
from sequela.core.numbers import MAX_SEED, MAX_SETTING, MIN_SEED
from sequela.core.other_words import meant_by
from sequela.core.visible_text import shortened
from sequela.core.wording import key_of, number_of

OtherWords = Mapping[str, tuple[str, ...]]
"""Other words for known keys, by key, in the singular."""

NO_OTHER_WORDS: OtherWords = MappingProxyType({})

Seed = Annotated[int, Field(ge=MIN_SEED, le=MAX_SEED)]
"""A seed of random numbers in settings."""

Count = Annotated[int, Field(le=MAX_SETTING)]
"""A number of steps, samples, ranks or the like in the settings of a method or a training."""


class InvalidFieldsError(BadInputError, ValueError):
    """Fields from which an object can't be created. It is a `ValueError`, so that validators may raise it.

    Args:
        name: The name of the object's class.
        error: Pydantic's error.
        allowed: The known fields.
    """

    def __init__(self, name: str, error: ValidationError, allowed: Sequence[str]) -> None:
        super().__init__(f"{name}: {in_words(error, allowed=allowed)}.")
        self.error = error


class NumericModel(BaseModel):
    """A model whose numbers are no truth values, which Python counts as 1 and 0.

    A `true` under `v_lr` is a value on the wrong line; it would run as the learning rate 1.
    """

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_truth_value(cls, value: Any, info: ValidationInfo) -> Any:
        if _has_truth_value(value) and _takes_only_numbers(cls.model_fields[str(info.field_name)].annotation):
            raise PydanticCustomError("truth_value", "expected a number, not true or false")
        return value


def _has_truth_value(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, list | tuple) and any(map(_has_truth_value, value)))


def _takes_only_numbers(annotation: Any) -> bool:
    """Returns whether numbers are among the types of a field, and truth values aren't."""
    types = {*_types_in(annotation)}
    return bool not in types and any(issubclass(one, int | float) for one in types)


def _types_in(annotation: Any) -> Iterator[type]:
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for inner in get_args(annotation):
        yield from _types_in(inner)


class CheckedModel(BaseModel):
    """A model that users create in Python: its constructor reports wrong fields as an `InvalidFieldsError`.

    `model_validate` raises pydantic's `ValidationError`, with the location within the outer object; readers
    of files make their own messages from it.
    """

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            name, allowed = type(self).__name__, list(type(self).model_fields)
            raise InvalidFieldsError(name, error, allowed) from error

    # With this mark pydantic doesn't take the constructor for one with rules of its own, and doesn't call it
    # when it validates the object as a part of another.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]


ProblemKind = Literal["missing", "unknown", "wrong"]

_KINDS: dict[str, ProblemKind] = {"missing": "missing", "extra_forbidden": "unknown"}


_LONGEST_KEY = 100
"""The greatest length of a key in a message, in characters."""


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
        """The location with dots, such as `edits.source`, cut if long; entries of lists count from 1."""
        return shortened(key_of(self.location), _LONGEST_KEY)

    def in_words(
        self,
        noun: str = "field",
        allowed: Sequence[str] = (),
        other_words: OtherWords = NO_OTHER_WORDS,
    ) -> str:
        """Returns the problem as part of a sentence, such as "the field 'sourc' is unknown".

        Args:
            noun: The word for a key: field, setting, option.
            allowed: The known keys, for a suggestion if a key is unknown.
            other_words: Other words for known keys, for the same.
        """
        if self.kind == "missing":
            return f"the {noun} {self.key!r} is missing"
        if self.kind == "unknown":
            guess = suggestion(str(self.location[-1])[:_LONGEST_KEY], allowed, other_words)
            return f"the {noun} {self.key!r} is unknown{guess}"
        if not self.location:
            return self.message
        if self.code in RAISED_BY_VALIDATORS:
            return f"the {noun} {self.key!r} {self.message}"
        return f"the {noun} {self.key!r}: {self.message[:1].lower()}{self.message[1:]}"


def problems_in(error: ValidationError) -> list[Problem]:
    """Returns the problems of a value, in pydantic's order."""
    return [_problem(details) for details in error.errors()]


def in_words(
    error: ValidationError,
    noun: str = "field",
    allowed: Sequence[str] = (),
    other_words: OtherWords = NO_OTHER_WORDS,
) -> str:
    """Returns all problems of a value in one line, without a full stop.

    Args:
        error: Pydantic's error.
        noun: The word for a key: field, setting, option.
        allowed: The known keys, for a suggestion if a key is unknown.
        other_words: Other words for known keys, for the same.
    """
    problems = problems_in(error)
    words = [problem.in_words(noun, allowed, other_words) for problem in problems[:MOST_PROBLEMS]]
    if len(problems) > MOST_PROBLEMS:
        words.append(f"and {number_of('further problem', len(problems) - MOST_PROBLEMS)}")
    return "; ".join(words)


MOST_PROBLEMS = 10
"""The greatest number of problems that a message lists."""


def suggestion(key: str, allowed: Sequence[str], other_words: OtherWords = NO_OTHER_WORDS) -> str:
    """Returns " (did you mean 'x'?)" for a misspelled key, or an empty string if no key is similar."""
    guess = guessed_key(key, allowed, other_words)
    return f" (did you mean {guess!r}?)" if guess else ""


def guessed_key(key: str, allowed: Sequence[str], other_words: OtherWords = NO_OTHER_WORDS) -> str:
    """Returns the known key that was probably meant: one of that meaning, or a similar one; empty if none."""
    meant = meant_by(key, {known: words for known, words in other_words.items() if known in allowed})
    return meant or next(iter(near_matches(key, allowed, 1)), "")


def _problem(details: ErrorDetails) -> Problem:
    return Problem(
        location=details["loc"],
        kind=_KINDS.get(details["type"], "wrong"),
        message=plain_message(details["type"], details.get("ctx", {}), details["msg"]),
        code=details["type"],
        given=details["input"],
    )
