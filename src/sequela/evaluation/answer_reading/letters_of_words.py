"""Letters that belong to something else: a word, an abbreviation, a name, a drive, a price, a key of music."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sequela.evaluation.answer_reading.choices import behind_choice

_GOES_ON = re.compile(r"\w|['’]\w|[+#^&%=@/\\]|\|(?=\w)|-(?!>)\S|-$|\*\w|:[\\/]|[$£€¥]\d|\.\w(?:\W|$)")
"""What makes a letter the first of a word: `C++`, `B-flat`, `D's`, `A1`, `C$5`, `D:\\`, `D.C.`"""
_DRIVE = re.compile(r":\s*(?:$|(?P<word>[\w'’-]+)[\s.!]*$)")
"""A letter with a colon and at most one word: the label of something that was left out, or a drive."""
_INITIALS = re.compile(r"\.\s*(?:[A-Z]\.\s*)+[A-Z][a-z]")
_NAME = re.compile(
    r"\.\s+(?P<name>[A-Z][a-z]+)(?:\s+[A-Z][a-z]+)*"
    r"(?:['’]s\b|\s+(?:is|was|has|had|wrote|said|says|won|became|who|and|invented|discovered|played|sang|made|\w+ed)\b)"
)
"""A first name that is shortened, before the other names and a verb: `D. Defoe wrote`."""
_OPENERS = frozenset(
    [
        "The",
        "This",
        "That",
        "These",
        "Those",
        "It",
        "He",
        "She",
        "We",
        "You",
        "They",
        "There",
        "Here",
        "Because",
        "Since",
        "As",
        "So",
        "Therefore",
        "Thus",
        "Hence",
        "If",
        "When",
        "What",
        "Which",
        "Who",
        "All",
        "None",
        "Both",
        "Neither",
        "Only",
        "Most",
        "Some",
        "Any",
        "Each",
        "Every",
        "Yes",
        "No",
        "Correct",
        "Explanation",
        "Reason",
        "Answer",
        "Option",
        "Choice",
        "A",
        "An",
        "My",
        "Our",
        "Your",
        "His",
        "Her",
        "Their",
        "Its",
        "In",
        "On",
        "At",
        "By",
        "For",
        "From",
        "With",
    ]
)
"""Words at the beginning of a sentence that are no names."""


def goes_on_in_a_word(rest: str) -> bool:
    """Returns whether a letter is only the first of a word, by the text behind the letter."""
    return bool(_GOES_ON.match(rest))


def is_an_initial(rest: str, choices: Sequence[str]) -> bool:
    """Returns whether a letter with a full stop is the first of a name: `A. A. Milne`, `D. Defoe wrote`."""
    if _INITIALS.match(rest):
        return True
    name = _NAME.match(rest)
    if (
        name is None
        or name["name"] in _OPENERS
        or behind_choice(rest[name.start("name") :], choices) is not None
    ):
        return False
    return not any(re.search(rf"\b{name['name']}\b", choice, re.IGNORECASE) for choice in choices)


def labels_nothing(rest: str, choices: Sequence[str]) -> bool:
    """Returns whether a letter with a colon is a drive, or a label with nothing behind: `D:`, `D: drive`."""
    drive = _DRIVE.match(rest)
    if drive is None:
        return False
    word = drive["word"]
    return word is None or not any(word.casefold() in choice.casefold() for choice in choices)
