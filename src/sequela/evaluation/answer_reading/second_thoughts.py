"""Checks of a stated number: the number that a text concludes when it checks or takes back another."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sequela.evaluation.answer_reading.numbers import Quantity

_AGAIN = (
    r"(?:(?:double|re)[\s-]?(?:check|verif\w+|do|calculat\w+|comput\w+|count|consider|think|read|examin\w+|evaluat\w+)"
    r"|re-?\w+|verify|check|confirm|correct|fix|try|go\s+over|look|think|see\s+again)"
)
_CHECK = re.compile(
    r"(?:[.!?:;…)\]]|\n|\s-)[\s*\"']*(?:(?:but|oh|so|ok(?:ay)?|now|hmm+|well|and|no)[\s,.…]+)*"
    rf"(?:wait|hold\s+on|hang\s+on|hmm+|actually|(?:let\s+(?:me|us)|let['’]s|i\s+(?:should|will|need\s+to|must))\s+"
    rf"(?:just\s+|quickly\s+|now\s+)?{_AGAIN}|{_AGAIN}ing)\b",
    re.IGNORECASE,
)
_CONFIRMED = re.compile(
    r"(?<!not\s)(?<!n['’]t\s)\b(?:correct|right|confirm(?:s|ed)?|check(?:s|ed)\s+out|match(?:es)?|yes|indeed|verified|as\s+expected"
    r"|holds|consistent|same)\b(?!\s*\?)|[✓✔✅]",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"[\s*\"']*(?:(?:and|but)\s+)?(?:so|therefore|thus|hence|this\s+means|that\s+means|in\s+(?:total|all|fact)|altogether"
    r"|(?:it|that)\s*(?:is|['’]s)(?!\s+(?:wrong|incorrect|false|not|a\s+mistake)\b)|(?:it|that)\s+should\s+be|(?:the|my)\s+(?:\w+\s+){0,2}(?:answer|total|result))\b",
    re.IGNORECASE,
)
_EQUALS = re.compile(r"[=≈][\s$€£(*]*\Z")
_SENTENCE_END = re.compile(r"[.!?:](?:\s+)|\n")


def check_begins(text: str) -> int | None:
    """Returns where a text begins to check what it stated before: `. Wait`, `. Let me double-check`."""
    check = _CHECK.search(text)
    return check.end() if check else None


def concluded(
    text: str, last: Quantity | None, stated: Quantity, operands: Sequence[Quantity], *, taken_back: bool
) -> Quantity | None:
    """Returns the number that counts after a check: the stated one, that of the check's conclusion, or none.

    Args:
        text: The text of the check.
        last: The last number of that text.
        stated: The number that was stated before.
        operands: The numbers of the check.
        taken_back: Whether the text says that the stated number is wrong.
    """
    kept = None if taken_back else stated
    if last is None:
        return kept
    if last.value == stated.value:
        return last
    if not taken_back and _CONFIRMED.search(text):
        return stated
    before = text[: last.start]
    if _CONCLUDES.match(_SENTENCE_END.split(before)[-1]):
        return last
    if not _EQUALS.search(before):
        return kept
    if taken_back:
        return last
    # `17 + 3 = 20` checks 17 by the inverse; another result leaves the text with two answers.
    return stated if any(one.value == stated.value for one in operands) else None
