"""Numbers in the boxes of LaTeX, with units and words in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sequela.evaluation.answer_reading.markup import plain
from sequela.evaluation.answer_reading.notations import common_numbers
from sequela.evaluation.answer_reading.numbers import as_number, value_at
from sequela.evaluation.answer_reading.parts_of_numbers import goes_on, is_part
from sequela.evaluation.answer_reading.retractions import around, is_denied
from sequela.evaluation.answer_reading.several_numbers import others_follow

_BEGINS = re.compile(r"\\(?:boxed|fbox)\s*\{")
_BRACE = re.compile(r"\\[{}]|[{}]")
_JOINED = re.compile(
    r"[\s$.,;]*(?:[^\W\d_]+\s+){0,2}?(?:and|or|to)[\s$]+(?:(?:maybe|perhaps|possibly|also)\s+)?\\?(?:\()?\s*\Z",
    re.IGNORECASE,
)
_LEAD = re.compile(
    r"[\s$(≈=]*(?:[^\W\d_][^\d=≈:\n]{0,40}?\s*[=≈:]\s*|\\[a-z]+\s*"
    r"|(?:about|approximately|around|roughly|exactly|only|just)\s+)?",
    re.IGNORECASE,
)
_MORE_ABOUT_IT = re.compile(
    r"[^\d=≈]*\b(?:in|out\s+of|of|per|for|after|by|at|on|within|from|every|each)\b[^\d=≈]*[\d.,]+[^\d=≈]*\Z",
    re.IGNORECASE,
)
"""Words that name another number without stating it: `5 apples in 3 days`."""


@dataclass(frozen=True)
class Box:
    """A box in a text.

    Args:
        content: What is in it.
        start: Where it begins in the text.
        end: Where it ends.
    """

    content: str
    start: int
    end: int


def boxes(text: str) -> Iterator[Box]:
    """Yields the boxes of a text that end, however their braces nest; not those within another box."""
    place = 0
    while (begin := _BEGINS.search(text, place)) is not None:
        depth, end = 1, None
        for brace in _BRACE.finditer(text, begin.end()):
            depth += {"{": 1, "}": -1}.get(brace[0], 0)
            if not depth:
                end = brace.end()
                break
        if end is None:  # nor does a later one end, except within this one
            return
        yield Box(text[begin.end() : end - 1], begin.start(), end)
        place = end


def boxed_number(text: str) -> str | None:
    """Returns the number in the last box of a text.

    None if the text denies it, or if the box or the one before it, joined by `or` or `and`, makes it several.
    """
    found = [*boxes(text)]
    if not found or _is_joined(text, found):
        return None
    number = _number_in(found[-1].content)
    if number is None:
        return None
    before, after = (plain(part) for part in around(text, found[-1].start, found[-1].end))
    return None if is_denied(before.rstrip("$ ") + " ", after.lstrip("$")) else number


def has_unread_box(text: str) -> bool:
    """Returns whether the last box of a text has digits that are not one number, such as `7 or 8`."""
    found = [*boxes(text)]
    if not found or not re.search(r"\d", found[-1].content):
        return False
    return _is_joined(text, found) or _number_in(found[-1].content) is None


def _is_joined(text: str, found: list[Box]) -> bool:
    return len(found) > 1 and _JOINED.match(text, found[-2].end, found[-1].start) is not None


def _number_in(content: str) -> str | None:
    """Returns the only number of a box, as it is written."""
    content = content.replace("~", " ")
    if as_number(content) is not None:
        return content
    bare = common_numbers(content).strip()
    lead = _LEAD.match(bare)
    start = lead.end() if lead else 0
    number = value_at(bare, start)
    if number is None or bare[number.end : number.end + 1] == "!" or others_follow(bare, start, number.end):
        return None
    if goes_on(bare, number.end) if number.start > start else is_part(bare, start, number.end):
        return None
    rest = bare[number.end :]
    return number.text if not re.search(r"(?<!\^)\d", rest) or _MORE_ABOUT_IT.fullmatch(rest) else None
