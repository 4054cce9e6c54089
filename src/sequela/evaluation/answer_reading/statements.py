"""Statements of an answer: "the answer is", and what a text says behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sequela.evaluation.answer_reading.numbers import Quantity, numbers_in, plain_numbers, value_at

_ADVERB = r"(?:then|therefore|thus|so|now|also|simply|just|actually|finally|clearly|indeed|probably)"
_VERB = r"(?:is|was|are|were|be|equals|becomes)"
STATED = re.compile(
    rf"(?i)\banswer\b(?:\s+(?:to|for|of)\s+(?:the|this|that|our)\s+(?:\w+\s+)?(?:question|problem|puzzle|riddle))?"
    rf"(?:\s+(?:will|would|should|must|can|could|has\s+to|{_ADVERB}))*(?:\s+{_VERB}\b|\s*[=:])(?:\s+{_ADVERB}\b)?\s*:?"
)
"""The words that state an answer."""
NEXT_QUESTION = re.compile(
    r"\n\s*(?:[#*]+\s*)?(?:Q|Question|Problem|Exercise|Example|Task|Input|Instruction|User|Human)\s*\d*\s*[*]*\s*[:.)]"
    r"|\bQ:"
)
_BEFORE_NUMBER = re.compile(r"[\s:]*(?P<between>(?:(?![.!?]\s)[^\d\n]){0,40}?)(?=[-+$€£¥₹(]*\.?\d)")
_DENIED = re.compile(r"(?i)\b(?:not|never|neither|cannot|between|either|from)\b|n['’]t\b")
_UNKNOWN = re.compile(
    r"(?i)^[\s:]*(?:\w+\s+){0,3}?(?:unknown|unclear|undefined|undetermined|impossible|none|nothing|not|can(?:not|['’]t))\b"
)
_CORRECTED = re.compile(r"(?i)\b(?:but|rather|instead)\b[^\d\n]{0,20}?(?=[-$€£(]*\.?\d)")


def first_question(text: str) -> str:
    """Returns the part of a text before the next question that a model asks itself."""
    return NEXT_QUESTION.split(text, maxsplit=1)[0]


def stated_numbers(text: str) -> Iterator[str | None]:
    """Yields the number of each statement; None for one that denies a number, or leaves several or none."""
    bare = plain_numbers(first_question(text))
    for statement in STATED.finditer(bare):
        rest = bare[statement.end() :]
        before = _BEFORE_NUMBER.match(rest)
        if before is None:
            if _UNKNOWN.match(rest):
                yield None
            continue
        if _DENIED.search(before["between"]):
            corrected = _CORRECTED.search(rest.split("\n", maxsplit=1)[0])
            yield _written(value_at(rest, corrected.end())) if corrected else None
            continue
        yield _written(value_at(bare, statement.end() + before.end()))


def marked_numbers(text: str) -> list[str]:
    """Returns the numbers of the lines that begin with `####` or `A:` and have no further number."""
    bare = plain_numbers(text)
    found = [value_at(bare, match.end()) for match in re.finditer(r"(?m)^[^\S\n]*(?:####|A:)[^\S\n]*", bare)]
    return [one.text for one in found if one and not re.match(r"[^\n]*\d", bare[one.end :])]


def last_number(text: str) -> str | None:
    """Returns the last number of the first question's text."""
    found = [one.text for one in numbers_in(plain_numbers(first_question(text)))]
    return found[-1] if found else None


def _written(quantity: Quantity | None) -> str | None:
    return quantity.text if quantity else None
