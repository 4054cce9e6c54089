"""Statements of an answer: "the answer is", and what a text says behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sequela.evaluation.answer_reading.numbers import Quantity, is_number, numbers_in, plain_numbers, value_at

_ADVERB = r"(?:then|therefore|thus|so|now|also|simply|just|actually|finally|clearly|indeed|probably)"
_VERB = r"(?:is|was|are|were|be|equals|becomes)"
STATED = re.compile(
    rf"(?i)\banswer\b(?:\s+(?:to|for|of)\s+(?:the|this|that|our)\s+(?:\w+\s+)?(?:question|problem|puzzle|riddle))?"
    rf"(?:,?\s+(?:will|would|should|must|can|could|has\s+to|{_ADVERB}))*(?:,?\s+{_VERB}\b|\s*[=:])(?:\s+{_ADVERB}\b)?\s*:?"
)
"""The words that state an answer."""
NEXT_QUESTION = re.compile(
    r"\n\s*(?:[#*]+\s*)?(?:Q|Question|Problem|Exercise|Example|Task|Input|Instruction|User|Human)\s*\d*\s*[*]*\s*[:.)]"
    r"|\bQ:"
)
_NUMBER_BEGINS = r"(?:\b(?:minus|negative)\s+)?[-+]?\s?[$€£¥₹]?\s?-?\.?\d"
_BEFORE_NUMBER = re.compile(r"[\s:]*(?P<between>(?:(?![.!?]\s)[^\d\n]){0,40}?)(?=" + _NUMBER_BEGINS + r")")
_DENIED = re.compile(r"(?i)\b(?:not|never|neither|cannot|between|either|from)\b|n['’]t\b")
_UNKNOWN = re.compile(
    r"(?i)^[\s:]*(?:\w+\s+){0,3}?(?:unknown|unclear|undefined|undetermined|impossible|none|nothing|not|can(?:not|['’]t))\b"
)
_CORRECTED = re.compile(
    r"(?i)\b(?:but|rather|instead|it\s+is|it['’]s)\b[^\d\n]{0,20}?(?=" + _NUMBER_BEGINS + r")"
)
_END_OF_STATEMENT = re.compile(r"[.!?;](?:\s|$)|,\s|\n")
_EQUALS = re.compile(r"[=≈]\s*")


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
            yield _number_behind(rest, corrected.end()) if corrected else None
            continue
        yield _number_behind(rest, before.end())


def _number_behind(text: str, start: int) -> str | None:
    """Returns the number that a text states from a place on, as it is written."""
    quantity = _last_side(text, start) or value_at(text, len(text) - len(text[start:].lstrip()))
    return quantity.text if quantity else None


def _last_side(text: str, start: int) -> Quantity | None:
    """Returns the number at the end of an equation, whatever is on its other sides (`2 * (3 + 1) = 8`)."""
    end = _END_OF_STATEMENT.search(text, start)
    stop = end.start() if end else len(text)
    equals = [*_EQUALS.finditer(text, start, stop)]
    found = value_at(text, equals[-1].end()) if equals else None
    return found if found and is_number(found) else None


def marked_numbers(text: str) -> list[str]:
    """Returns the numbers of the lines that begin with `####` or `A:` and have no further number."""
    bare = plain_numbers(text)
    found = [value_at(bare, match.end()) for match in re.finditer(r"(?m)^[^\S\n]*(?:####|A:)[^\S\n]*", bare)]
    return [one.text for one in found if one and not re.match(r"[^\n]*\d", bare[one.end :])]


def last_number(text: str) -> str | None:
    """Returns the last number of the first question's text."""
    found = [one.text for one in numbers_in(plain_numbers(first_question(text)))]
    return found[-1] if found else None
