"""Statements of an answer: "the answer is", and what a text says behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sequela.evaluation.answer_reading.clauses import (
    CORRECTIONS,
    is_in_a_question,
    is_taken_back,
    is_under_a_condition,
)
from sequela.evaluation.answer_reading.last_numbers import is_aside, last_number_of
from sequela.evaluation.answer_reading.notations import common_numbers, plain_numbers
from sequela.evaluation.answer_reading.number_words import begins_in_words, with_digits
from sequela.evaluation.answer_reading.numbers import Quantity, is_number, numbers_in, value_at
from sequela.evaluation.answer_reading.parts_of_numbers import goes_on, has_begun, is_part
from sequela.evaluation.answer_reading.retractions import around, doubts_what_follows, is_denied
from sequela.evaluation.answer_reading.second_thoughts import check_begins, concluded
from sequela.evaluation.answer_reading.several_numbers import others_follow

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
_NOT_STATED = re.compile(
    r"(?i)\b(?:(?:any|every)thing|all|any\s+number)\s+(?:but|except)"
    r"|\b(?:except|other\s+than|different\s+(?:from|than)|unlike)\b"
    r"|\b(?:thought|believed|said|assumed|supposed|claimed|rumou?red|guessed)\s+to\s+be\b"
)
_OR_ANOTHER = re.compile(
    r"[-+]?\s?[$€£¥₹]?\s?-?[\d.,]*\d\s?[^\W\d_]{1,12}\s*,?\s*\bor\s+(?:maybe\s+|perhaps\s+)?[$€£¥₹]?-?\d"
)
"""A number with a unit, and an alternative: `3 euros or 4 euros`."""
_WRONG = re.compile(r"(?i)\b(?:wrong|incorrect|false)\b")
_UNKNOWN = re.compile(
    r"(?i)^[\s:]*(?:\w+\s+){0,3}?(?:unknown|unclear|undefined|undetermined|impossible|none|nothing|not|can(?:not|['’]t))\b"
)
_CORRECTED = re.compile(
    r"(?i)\b(?:but|rather|instead|it\s+is|it['’]s)\b[^\d\n]{0,20}?(?=" + _NUMBER_BEGINS + r")"
)
_TAKEN_BACK_FOR = re.compile(
    rf"(?i)[^\d\n]{{0,40}}?[,.;:!?…(–—-]\s*(?:(?:{CORRECTIONS}|but|oh|and|well|rather|instead)\b[\s,.:;!…–—-]*)*"
    r"(?:(?:it|that|this)\s*(?:is|was|['’]s|should\s+(?:be|have\s+been)|must\s+be)\s*"
    r"(?:actually|really|in\s+fact)?\s*)?"
    rf"(?={_NUMBER_BEGINS})"
)
"""The words between a number that is taken back and the one in its place: `, I mean`, `? No, it's`."""
_UNIT_BEHIND = re.compile(r"\s?[%°$€£]+|\s?[^\W\d_]+(?:\s[^\W\d_]+)?(?=\s*[.,;:!?(…–—-])")
_END_OF_STATEMENT = re.compile(r"[.!?;](?:\s|$)|,\s|\n")
_DENIED_STATEMENT = re.compile(
    r"(?i)\banswer\b[^.!?\n]{0,60}?(?:\b(?:is|was|are|were|can|could|will|would|should|must|may|might|does|do|did|has|have)"
    r"(?:\s+(?:definitely|certainly|clearly|surely|also|simply|probably))?\s+(?:not|never|neither)\b|\bcannot\b|\w+n['’]t\b)"
)
"""A denial in place of a statement: `the answer isn't`, `the answer cannot be`."""
_FURTHEST_RESULT = 300
"""The number of characters behind an expression in which its result is looked for."""
_END_OF_SENTENCE = re.compile(r"(?<!\bi\.e)[.!?](?:\s|$)|\n")
_MULTIPLE = re.compile(r"-?[\d.,/]*\d[^\S\n]?[xyzn]\b(?![^\S\n]?[\d$(])")
"""A multiple of an unknown: `2x = 18` doesn't say that the answer is 18."""
_RESULT = re.compile(
    r"(?i)(?:,?\s*\b(?:(?:which|that|and\s+(?:that|this|it)|this)\s+)?(?:is|equals?|makes|gives|comes\s+to)|,?\s*\((?:which\s+is\s|=)?"
    r"|,\s*(?:or|so|thus|hence|therefore|i\.e\.,?|that\s+is,?))\s*(?:(?:equal\s+to|exactly|just|also|then)\s+|[a-z]\s*=\s*)?"
    rf"(?={_NUMBER_BEGINS})"
)
"""Words between an expression and its result: `3 times 6, which is 18`, `20 minus 2, or 18`."""
_EQUALS = re.compile(r"[=≈]\s*")
_ANOTHER_MATTER = re.compile(
    r"(?i)\b(?:when(?:ever)?|where|if|because|since|given|assuming|provided|while|unless|as\s+long\s+as)\b"
    r"|\b(?:with|for|at|in|on|by|under|from|using|and|as|so)\s+(?:[^\W\d_]+\s+){0,2}?[^\W\d_]\w*\s*[=≈]"
    r"|[(\[]\s*(?:[^\W\d_]+\s+){0,3}?[^\W\d_]\w*\s*[=≈]"
)
"""The beginning of a clause that gives the value of something else: `18 when x = 2`, `18 (x = 2)`."""
_DIFFERENCE_OR_DASH = re.compile(r"[$€£]?\d[\d.,]*\s-\s[$€£]?\d[\d.,]*[^\S\n]+[^\W\d_]{2}")
"""`18 - 9 eggs`: a difference, or an answer and words about it."""


def first_question(text: str) -> str:
    """Returns the part of a text before the next question that a model asks itself."""
    return NEXT_QUESTION.split(text, maxsplit=1)[0]


def stated_numbers(text: str, *, strict: bool = False) -> Iterator[str | None]:
    """Yields the number of each statement; None for one that denies a number, or leaves several or none.

    Args:
        text: The text.
        strict: Whether to read only the notations of numbers that the strict reading accepts, and to leave
            out `the answer isn't` and its like, which the harness doesn't take for a statement.
    """
    bare = (plain_numbers if strict else common_numbers)(first_question(text))
    found = [(match.end(), False) for match in STATED.finditer(bare)]
    if not strict:
        stated = {match.start() for match in STATED.finditer(bare)}
        denials = (match for match in _DENIED_STATEMENT.finditer(bare) if match.start() not in stated)
        found = sorted([*found, *((match.end(), True) for match in denials)])
    for place, (end, denied) in enumerate(found):
        # The lenient reading reads up to the next statement, so that its time is in proportion to the text.
        stop = found[place + 1][0] if place + 1 < len(found) and not strict else len(bare)
        rest = bare[end:stop]
        if not strict:
            rest = with_digits(rest) or rest
        before = _BEFORE_NUMBER.match(rest)
        if before is None:
            if _UNKNOWN.match(rest) or (not strict and begins_in_words(rest)):
                yield None
            continue
        denied = denied or (not strict and _takes_back(*around(bare, end, end), before["between"]))
        if not denied and not strict and _NOT_STATED.search(before["between"]):
            yield None
        elif denied or _DENIED.search(before["between"]):
            corrected = _CORRECTED.search(rest.split("\n", maxsplit=1)[0])
            yield _text(_number_behind(rest, corrected.end(), strict=strict)) if corrected else None
        elif not strict and _OR_ANOTHER.match(rest, before.end()):
            yield None
        else:
            found_number = _number_behind(rest, before.end(), strict=strict)
            yield (
                _text(found_number)
                if strict or found_number is None
                else _kept(around(bare, end, end)[0], rest, found_number)
            )


def _kept(before: str, rest: str, number: Quantity) -> str | None:
    """Returns a stated number, or the one in its place if the text asks about it, takes it back or checks it.

    None if it is one of several, or holds under a condition only.
    """
    behind = rest[number.end :]
    if others_follow(rest, number.start, number.end) or is_under_a_condition(behind):
        return None
    unit = _UNIT_BEHIND.match(behind)
    afters = (behind, behind[unit.end() :]) if unit else (behind,)
    if not any(is_taken_back(after) or is_in_a_question(before, after) for after in afters):
        return _checked(behind, number)
    instead = _TAKEN_BACK_FOR.match(behind)
    found = _number_behind(behind, instead.end(), strict=False) if instead else None
    return _text(found) or _checked(behind, number, taken_back=True)


def _checked(behind: str, number: Quantity, *, taken_back: bool = False) -> str | None:
    """Returns a stated number, unless the text behind it checks it and concludes another one."""
    begins = check_begins(behind)
    check = behind if taken_back else behind[begins:] if begins else ""
    last = last_number_of(check)
    return _text(concluded(check, last, number, [*numbers_in(check)], taken_back=taken_back))


def _takes_back(before: str, after: str, between: str) -> bool:
    """Returns whether a statement is doubted, or says that an answer is wrong."""
    return doubts_what_follows(before + " ", after) or bool(_WRONG.search(between))


def _number_behind(text: str, start: int, *, strict: bool) -> Quantity | None:
    """Returns the number that a text states from a place on.

    A number that is a part of something else counts only in the strict reading; in the lenient one, the
    result that the text says behind it does (`3 times 6, which is 18`).
    """
    start = len(text) - len(text[start:].lstrip())
    side, first = _last_side(text, start, strict=strict), value_at(text, start)
    quantity = side or first
    if strict:
        return quantity
    if side is None and _DIFFERENCE_OR_DASH.match(text, start):
        return None
    if quantity and not _MULTIPLE.match(text, start) and not _is_part(text, quantity, start):
        return quantity
    return _result(text, start) if first or has_begun(text, start) else None


def _is_part(text: str, quantity: Quantity, start: int) -> bool:
    """Returns whether a number is a part of something else; what stands before an equation belongs to it."""
    if quantity.start > start:
        return goes_on(text, quantity.end)
    return is_part(text, start, quantity.end)


def _result(text: str, start: int) -> Quantity | None:
    """Returns the number that a sentence says to be the result of what stands before it."""
    furthest = start + _FURTHEST_RESULT
    end = _END_OF_SENTENCE.search(text, start, furthest)
    results = [*_RESULT.finditer(text, start, end.start() if end else furthest)]
    found = value_at(text, results[-1].end()) if results else None
    return found if found and not is_part(text, results[-1].end(), found.end) else None


def _text(number: Quantity | None) -> str | None:
    """Returns a number as it is written."""
    return number.text if number else None


def _last_side(text: str, start: int, *, strict: bool) -> Quantity | None:
    """Returns the number at the end of an equation, whatever is on its other sides (`2 * (3 + 1) = 8`).

    In the lenient reading, an equation about something else ends it (`18 when x = 2`).
    """
    end = _END_OF_STATEMENT.search(text, start)
    stop = end.start() if end else len(text)
    other = None if strict else _ANOTHER_MATTER.search(text, start, stop)
    stop = other.start() if other else stop
    equals = [*_EQUALS.finditer(text, start, stop)]
    found = value_at(text, equals[-1].end()) if equals else None
    return found if found and is_number(found) else None


def marked_numbers(text: str, *, strict: bool = False) -> list[str]:
    """Returns the numbers of the lines that begin with `####` or `A:` and have no further number."""
    bare = (plain_numbers if strict else common_numbers)(text)
    found = [value_at(bare, match.end()) for match in re.finditer(r"(?m)^[^\S\n]*(?:####|A:)[^\S\n]*", bare)]
    return [
        one.text
        for one in found
        if one
        and (not re.match(r"[^\n]*\d", line := _line(bare, one.end)) or (not strict and is_aside(line)))
        and (strict or not (goes_on(bare, one.end) or is_denied(*around(bare, one.end, one.end))))
    ]


def _line(text: str, start: int) -> str:
    """Returns the rest of the line from a place on."""
    return text[start:].split("\n", maxsplit=1)[0]


def last_number(text: str) -> str | None:
    """Returns the last number that the first question's text states, as `last_number_of` does."""
    return _text(last_number_of(common_numbers(first_question(text))))
