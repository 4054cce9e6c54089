"""Matching of answers at the beginning of a text, in any script."""

from __future__ import annotations

import re

from sequela.evaluation.answer_reading.names import begins_with, number_at_start, without_article, words
from sequela.evaluation.answer_reading.numbers import as_number
from sequela.evaluation.answer_reading.thinking import END_OF_THINKING, without_thinking

MATCHING_VERSION = 2
"""Raised when the rule below starts to match the same text differently."""


def starts_with_answer(text: str, answer: str, end_of_thinking: str = END_OF_THINKING) -> bool:
    """Returns whether a generated text begins with an answer.

    Thinking, case, Unicode form, punctuation and a leading article are ignored, and so is the way in which
    a number is written. In scripts with spaces between words, the answer must end at the end of a word or
    number.
    """
    said = without_thinking(text, end_of_thinking)
    number = as_number(answer)
    if number is not None and re.fullmatch(r"[\W\d]+", answer.strip()):
        return number_at_start(said) == number
    generated, expected = words(said), words(answer)
    answers = {expected, without_article(expected)} - {""}
    return any(begins_with(form, one) for form in (generated, without_article(generated)) for one in answers)


def normalize_answer(text: str, end_of_thinking: str = END_OF_THINKING) -> str:
    """Removes what is ignored: thinking, case, Unicode form, punctuation and a leading article."""
    return without_article(words(without_thinking(text, end_of_thinking)))
