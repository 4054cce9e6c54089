"""Matching of answers at the beginning of a text, in any script."""

from __future__ import annotations

import re

from sequela.evaluation.answer_reading.long_texts import readable
from sequela.evaluation.answer_reading.markup import plain
from sequela.evaluation.answer_reading.names import begins_with_number, is_all_number
from sequela.evaluation.answer_reading.spelling import Spelling, without_article, without_notes, words
from sequela.evaluation.answer_reading.thinking import END_OF_THINKING

MATCHING_VERSION = 5
"""Raised when the rule below starts to match the same text differently."""


def starts_with_answer(text: str, answer: str, end_of_thinking: str = END_OF_THINKING) -> bool:
    """Returns whether a generated text begins with an answer.

    Thinking, case, Unicode form, punctuation and a leading article are ignored, and so is the way in which
    a number is written. In scripts with spaces between words, the answer must end at the end of a word or
    number.
    """
    said = without_notes(readable(text, end_of_thinking))
    if is_all_number(answer):
        return begins_with_number(said, answer)
    written = (answer, _POSSESSIVE.sub("", answer))
    answers = {form for one in written for form in (words(one), without_article(words(one)))} - {""}
    begun = [_says(Spelling.of(one), answers) for one in (said, plain(said))]
    return True in begun and False not in begun


def _says(said: Spelling, answers: set[str]) -> bool | None:
    """Returns whether a text says one of the answers; None if it begins with other words."""
    starts = (0, len(said.words) - len(without_article(said.words)))
    found = [
        said.says(start, start + len(answer))
        for start in starts
        for answer in answers
        if said.words.startswith(answer, start)
    ]
    return any(found) if found else None


_POSSESSIVE = re.compile(r"(?<=\w)['’](?=s\b)")
"""The apostrophe of `McDonald's`, which is often left out."""


def normalize_answer(text: str, end_of_thinking: str = END_OF_THINKING) -> str:
    """Removes what is ignored: thinking, case, Unicode form, punctuation and a leading article."""
    return without_article(words(readable(text, end_of_thinking)))
