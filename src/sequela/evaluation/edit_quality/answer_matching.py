"""Whether a text says an answer, in any script."""

from __future__ import annotations

import re
import unicodedata


def starts_with_answer(text: str, answer: str) -> bool:
    """Whether a generated text begins with an answer.

    Case, unicode form, leading punctuation and a leading article don't count; the answer must end
    where a word or a number ends, in scripts that write spaces between words.
    """
    said, wanted = _bare(text), _bare(answer)
    answers = {wanted, _without_article(wanted)} - {""}
    return any(_begins(form, one) for form in (said, _without_article(said)) for one in answers)


def normalize_answer(text: str) -> str:
    """A text without what doesn't count: case, form, leading punctuation and a leading article."""
    return _without_article(_bare(text))


_LEADING = re.compile(r"^(?:(?![-−]\d)[\W_])+")
"""Punctuation and spaces before the first word; the sign of a number is a part of it."""
_ARTICLE = re.compile(r"^(?:the|an?)\s+")
_NUMBER_GOES_ON = re.compile(r"[.,]\d")
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
"""Scripts without spaces between words, as their characters' Unicode names begin."""


def _bare(text: str) -> str:
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return _LEADING.sub("", folded)


def _without_article(bare: str) -> str:
    return _LEADING.sub("", _ARTICLE.sub("", bare))


def _begins(said: str, wanted: str) -> bool:
    """Whether `said` begins with `wanted`, and `wanted` doesn't end inside a word or number."""
    if not said.startswith(wanted):
        return False
    rest, last = said[len(wanted) :], wanted[-1]
    if last.isdigit() and _NUMBER_GOES_ON.match(rest):
        return False
    if unicodedata.name(last, "").startswith(_UNSPACED):
        return True
    return not (rest and _in_word(rest[0]) and _in_word(last))


def _in_word(character: str) -> bool:
    """Letters, digits, and the marks that many scripts write vowels with."""
    return character.isalnum() or unicodedata.category(character).startswith("M")
