"""The texts of the choices that were shown, where they stand in a text."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from sequela.evaluation.answer_reading.parts_of_numbers import goes_on

_NUMBER_GOES_ON = re.compile(
    r"\s*\d|[.,:/^]\d|\s?[%‰°]|\s?[-*×÷+/^x–−]\s?\d|\s*(?:,|or|and|to|through|over|times|plus|minus|(?:out\s+)?of)\s*\d"
    r"|\s?(?:percent|per\s+cent|k|(?-i:K|M))\b",
    re.IGNORECASE,
)
"""Continuations that make a number a part of another one (`4/5`, `4%`, `4-5`), besides those of `goes_on`."""
_NUMBER_BEGAN = re.compile(
    r"(?:\d[.,:/^]?|[.]|[√∛∜≤≥±∓<>]\s?\(?|(?:^|[\s(])[-−–]\s?|\d\s?[*×÷+/^]\s?|\d\s)\Z"
)


def choice_of(letter: str, choices: Sequence[str]) -> str:
    """Returns the choice that a letter is the label of; an empty text if there is none."""
    place = string.ascii_uppercase.find(letter.upper())
    return choices[place] if place < len(choices) else ""


def begins_with_choice(text: str, choice: str) -> bool:
    """Returns whether a text begins with the words of a choice, which don't go on in a word or a number."""
    own = choice.strip().casefold()
    if not own or not text.casefold().startswith(own):
        return False
    rest = text[len(own) :]
    return not rest[:1].isalnum() and not (own[-1].isdigit() and _goes_on(rest))


def behind_choice(text: str, choices: Sequence[str]) -> str | None:
    """Returns what follows the longest choice that a text begins with; None if it begins with none."""
    found = max((len(one.strip()) for one in choices if begins_with_choice(text, one)), default=None)
    return None if found is None else text[found:]


def is_part_of_a_number(text: str, choice: str) -> bool:
    """Returns whether a choice that is at a text's beginning is only a part of a number there.

    Args:
        text: The text, whose words begin with those of the choice; marks may stand before it.
        choice: The choice; a number in it may have a sign or unit of its own.
    """
    own = choice.strip()
    core = own.strip("-+−–$€£¥%‰°. ")
    if not core or not (core[0].isdigit() or core[-1].isdigit()):
        return False
    place = re.match(r"(?:(?:the|an?)\s+|[^\w])*?" + re.escape(core), text, re.IGNORECASE)
    if place is None:
        return False
    start, end = place.end() - len(core), place.end()
    before, after = text[:start], text[end:]
    own_before, own_after = own[: own.index(core)], own[own.index(core) + len(core) :].rstrip(".")
    if core[0].isdigit() and bool(_NUMBER_BEGAN.search(before)) != bool(_NUMBER_BEGAN.search(own_before)):
        return True
    if own_after:
        after = after.lstrip()
        after = after[len(own_after) :] if after.casefold().startswith(own_after.casefold()) else after
    return core[-1].isdigit() and _goes_on(after)


def _goes_on(rest: str) -> bool:
    return _NUMBER_GOES_ON.match(rest) is not None or goes_on(rest, 0)
