"""Letters that belong to something else: a word, an abbreviation, a name, a drive, a price."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sequela.evaluation.answer_reading.letter_statements import RIGHTNESS

_GOES_ON = re.compile(r"\w|['’]\w|[+#^&%=@/\\]|\|(?=\w)|-(?!>)\S|-$|\*\w|:\s?[\\/]|[$£€¥]\s?\d|\.\w(?:\W|$)")
"""Continuations that make a letter the first of a word: `C++`, `B-flat`, `D's`, `C$5`, `D.C.`"""
_DRIVE = re.compile(r":\s*(?:$|(?P<word>[\w'’-]+)[\s.!]*$|(?:the\s+)?(?:drive|disk)\b)")
"""A letter with a colon and at most one word: the label of something that was left out, or a drive."""
_INITIALS = re.compile(r"\.\s*(?:[A-Z]\.\s*)+[A-Z][a-z]")
_NAME = re.compile(
    r"\.\s+(?P<name>[A-Z][a-z]+(?:\s+[A-Z][a-z]+)*)"
    r"(?:['’]s\b|\s*[.,!]?\s*$|\s+(?:is|was|has|had|wrote|says?|said|won|became|who|and|invented|made"
    r"|\w+ed|flew|sang|ran|led|built|found|gave|took|came|went|fought|held|met|taught|thought|brought"
    r"|began|knew|lost)\b)"
)
"""A shortened first name before the other names, which end the text or do something: `D. Defoe wrote`."""
_SUBJECT = re.compile(
    rf",\s*(?:the|an?|one)\b[^,.;\n]{{1,60}},\s*(?:is|was"
    rf"|has)\b(?!\s+{RIGHTNESS})",
    re.IGNORECASE,
)
_OPENERS = re.compile(
    r"(?:The|This|That|These|Those|It|He|She|We|You|They|There|Here|Because|Since|As|So|Therefore|Thus"
    r"|Hence|If|When"
    r"|What|Which|Who|All|None|Both|Neither|Only|Most|Some|Any|Each|Every|Yes|No|Correct|True|Right"
    r"|Explanation|Reason"
    r"|Answer|Option|Choice|A|An|My|Our|Your|His|Her|Their|Its|In|On|At|By|For|From|With|Thanks?|Hope"
    r"|Please|Done|Good)\b"
)
"""Words at the beginning of a sentence that are no names."""


def goes_on_in_a_word(rest: str) -> bool:
    """Returns whether a letter is only the first of a word, by the text behind the letter."""
    return bool(_GOES_ON.match(rest))


def is_an_initial(rest: str, choices: Sequence[str]) -> bool:
    """Returns whether a letter with a full stop is the first of a name: `A. A. Milne`, `D. Defoe wrote`."""
    if _INITIALS.match(rest):
        return True
    found = _NAME.match(rest)
    if found is None or _OPENERS.match(found["name"]):
        return False
    shown = " ".join(choices).casefold()
    return not any(name in shown for name in found["name"].casefold().split())


def labels_nothing(rest: str, choices: Sequence[str]) -> bool:
    """Returns whether a letter with a colon is a drive, or a label with nothing behind: `D:`, `D: drive`."""
    drive = _DRIVE.match(rest)
    if drive is None:
        return False
    word = drive["word"]
    return word is None or not any(word.casefold() in choice.casefold() for choice in choices)


def is_a_subject(rest: str) -> bool:
    """Returns whether a letter is said to be something else: `A, the first letter, is a vowel`."""
    return bool(_SUBJECT.match(rest))
