"""The last number of a text that states no answer, without what is said beside it.

`She makes $18 (9 * $2)` and `He has 70, not 72` end with a number that is not the one they state.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sequela.evaluation.answer_reading.numbers import Quantity, is_number, numbers_in, value_at
from sequela.evaluation.answer_reading.parts_of_numbers import has_begun, is_part
from sequela.evaluation.answer_reading.retractions import around, is_denied
from sequela.evaluation.answer_reading.several_numbers import others_follow, others_precede

_MOST_STEPS = 30
"""The number of numbers of an equation that are read."""
_JOINS = re.compile(r"%?\s?(?:[-+*/x×÷]|\*\*|=|≈)\s*[$€£]?\s*")
_INSTEAD_OF = re.compile(
    r"[^.!?\n()]{0,40}?(?:[,;(-]\s*(?:and\s+|but\s+)?not|\b(?:and|but)\s+not|\binstead\s+of|\brather\s+than"
    r"|\bas\s+opposed\s+to|,\s*which\s+(?:is\s+not|isn['’]t))\s+(?:(?:the|just|exactly|at)\s+)*\Z",
    re.IGNORECASE,
)
"""Words between a number and another one that it is not: `70, not 72`."""
_ASIDE = re.compile(r"(?P<open>[(\[])(?P<content>[^()\[\]\n]{1,200})[)\]]?")
_GAP = re.compile(r"[^.!?\n()\[\]=]{0,60}")
_LONE = re.compile(
    r"\s*(?:(?:=|≈|or|about|i\.e\.,?|that\s+is,?|which\s+is)\s*)*[$€£]?-?\.?\d[\d.,]*\s?%?(?P<unit>(?:\s?[^\W\d_]+){0,2})\s*",
    re.IGNORECASE,
)
_RESULT = re.compile(r"(?P<left>[^=≈]*)[=≈]")


def last_number_of(text: str) -> Quantity | None:
    """Returns the last number that a text states.

    An aside in brackets and a number that the text says it isn't are left out; of an equation, the side that
    is a number counts. None if the text denies the number, if it is one of several, or if it is a part of
    something else (`3 times 6`, `over 18`).

    Args:
        text: A text as of `common_numbers`.
    """
    numbers = [*numbers_in(text)]
    contrasted = False
    while len(numbers) > 1 and _INSTEAD_OF.fullmatch(text, numbers[-2].end, numbers[-1].start):
        numbers, contrasted = numbers[:-1], True
    if not numbers:
        return None
    aside = _aside(text, numbers)
    if aside is not None:
        found = _before_aside(text, numbers, aside)
        if found is None:
            return None
    else:
        found = numbers[-1]
    before, after = around(text, found.start, found.end)
    if is_denied(before, "" if contrasted else after):
        return None
    of_equation = _of_equation(text, numbers, found)
    if of_equation is not None:
        return of_equation
    if is_part(text, found.start, found.end) or _is_one_of_several(text, numbers, found):
        return None
    return found


def _is_one_of_several(text: str, numbers: Sequence[Quantity], found: Quantity) -> bool:
    """Returns whether a number is one of several, none of which is said twice or the result of the others."""
    if others_follow(text, found.start, found.end):
        return True
    if not others_precede(text, found.start, found.end):
        return False
    before = next((one for one in reversed(numbers) if one.start < found.start), None)
    if before is None:  # the others are times, dates or the like
        return True
    result = has_begun(text, before.start) and re.search(r"\bor\b", text[before.end : found.start])
    return before.value != found.value and not result


def is_aside(text: str) -> bool:
    """Returns whether a text is only an aside in brackets that explains a number: ` (9 + 9).`."""
    aside = re.compile(r"[^()\n\d=]{0,40}").match(text)
    bracket = _ASIDE.match(text, aside.end()) if aside else None
    if bracket is None or re.search(r"\d", text[bracket.end() :]):
        return False
    return not _LONE.fullmatch(bracket["content"])


def _aside(text: str, numbers: Sequence[Quantity]) -> re.Match[str] | None:
    """Returns the brackets around the last number of a text."""
    start = max(text.rfind(mark, max(0, numbers[-1].start - 200), numbers[-1].start) for mark in "([")
    aside = _ASIDE.match(text, start) if start >= 0 else None
    return aside if aside and aside.end() >= numbers[-1].end else None


def _before_aside(text: str, numbers: Sequence[Quantity], aside: re.Match[str]) -> Quantity | None:
    """Returns the number that brackets explain; the one in them if they give a number for what is before."""
    last = numbers[-1]
    earlier = [one for one in numbers[-_MOST_STEPS:] if one.end <= aside.start()]
    before = earlier[-1] if earlier else None
    if before is None or not _GAP.fullmatch(text, before.end, aside.start()):
        return last
    if is_part(text, before.start, before.end) or _is_one_of_several(text, earlier, before):
        return last
    if before.value == last.value:
        return before
    lone = _LONE.fullmatch(aside["content"])
    words = text[before.end : aside.start()].strip(" *_%")
    if lone is not None:
        if aside["open"] == "[":
            return before  # a citation
        if lone["unit"].strip():
            return None if words else before
        return last if words else None
    result = _RESULT.search(aside["content"])
    if result is not None and re.search(r"\d", result["left"]):
        return None  # the brackets reckon something else
    return before


def _of_equation(text: str, numbers: Sequence[Quantity], found: Quantity) -> Quantity | None:
    """Returns the value of the equation or sum that ends with a number; None if it isn't in one."""
    place = next(i for i, one in enumerate(numbers) if one.start == found.start)
    first = place
    while first > 0 and place - first < _MOST_STEPS:
        if not _JOINS.fullmatch(text, numbers[first - 1].end, numbers[first].start):
            break
        first -= 1
    if first == place:
        return None
    joined = text[numbers[first].start : found.start]
    whole = value_at(text, numbers[first].start)
    if whole is None or whole.end < found.end or is_part(text, numbers[first].start, whole.end):
        return None
    if "=" in joined or "≈" in joined:
        return whole if is_number(whole) and whole.start < found.start else None
    return whole if re.search(r"[+*×÷]", joined) else None
