"""The words before the letter at a text's beginning: labels, numbers, questions and interjections."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sequela.evaluation.answer_reading.choices import begins_with_choice
from sequela.evaluation.answer_reading.letter_statements import ADVERBS

_ECHO = re.compile(r"^\s*A\s*:\s*")
_SURE = r"(?!(?:un|in|im|wrong|false|mistaken|hard|scarce|bare|fami|rep|sup|assemb|anoma|sici|ita|ju)\w*ly\b)"
_INTERJECTIONS = re.compile(
    r"(?:\s*(?:sure|ok|okay|without\s+(?:a|any)\s+doubt|no\s+doubt|for\s+sure|in\s+conclusion|in\s+short"
    r"|in\s+my\s+opinion|overall|yes|yeah|yup|yea|yep|of\s+course|well|right|alright|correct|good|great|hmm+"
    r"|um+|uh+|erm?|oh|ah"
    rf"|wait|sorry|{ADVERBS}|{_SURE}\w{{2,}}ly)\b[\s,.!:;-]*|\s*no(?:pe)?\s*[,.!;:][\s,.!:;-]*)*",
    re.IGNORECASE,
)
"""The words that some models say before an answer, and adverbs; there may be none."""
_NUMBERED = re.compile(
    r"\s*(?:(?:[QA]|Question|Answer|No\.)?\s?#?\d{1,3}\s?[.):](?!\d)|#\d{1,3}|\(\d{1,3}\))\s*", re.IGNORECASE
)
"""The number of the question."""
_ASKED = re.compile(r"[^.!?\n。！？]*\?+[\s\"'”’)]*")
"""A question at a text's beginning."""
_ABOUT_THE_CHOICES = re.compile(
    r"\b(?:answer|option|choice|correct|right)\b|(?<![\w'’])(?-i:[A-Z])(?![\w'’])", re.IGNORECASE
)
"""Words of a question about the choices."""


def start_of_answer(text: str, choices: Sequence[str]) -> int:
    """Returns where a text begins behind an echoed label, questions, a number and interjections."""
    start = end_of_label(text, choices)
    while (asked := _ASKED.match(text, start)) and _ABOUT_THE_CHOICES.search(asked[0]):
        start = asked.end()
    for words in (_NUMBERED, _INTERJECTIONS):
        found = words.match(text, start)
        start = found.end() if found else start
    return start


def end_of_label(text: str, choices: Sequence[str]) -> int:
    """Returns where the text begins behind an echoed `A:`, the label of an answer rather than the answer."""
    echo = _ECHO.match(text)
    return echo.end() if echo and not (choices and begins_with_choice(text[echo.end() :], choices[0])) else 0
