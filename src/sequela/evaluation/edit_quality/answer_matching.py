"""Matching of answers at the beginning of a text, in any script."""

from __future__ import annotations

import re
import unicodedata


def starts_with_answer(text: str, answer: str) -> bool:
    """Returns whether a generated text begins with an answer.

    Case, Unicode form, leading punctuation and a leading article are ignored. In scripts with spaces
    between words, the answer must end at the end of a word or number.
    """
    generated, expected = _bare(text), _bare(answer)
    answers = {expected, _without_article(expected)} - {""}
    return any(_begins(form, one) for form in (generated, _without_article(generated)) for one in answers)


def normalize_answer(text: str) -> str:
    """Removes what is ignored: case, Unicode form, leading punctuation and a leading article."""
    return _without_article(_bare(text))


_LEADING = re.compile(r"^(?:(?![-−]\d)[\W_])+")
"""Punctuation and spaces before the first word, but not the sign of a number."""
_ARTICLE = re.compile(r"^(?:the|an?)\s+")
_NUMBER_GOES_ON = re.compile(r"[.,]\d")
_UNSPACED = ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN")
"""Scripts without spaces between words, by the beginning of their characters' Unicode names."""


def _bare(text: str) -> str:
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return _LEADING.sub("", folded)


def _without_article(bare: str) -> str:
    return _LEADING.sub("", _ARTICLE.sub("", bare))


def _begins(text: str, answer: str) -> bool:
    """Returns whether `text` begins with `answer`, and `answer` doesn't end inside a word or number."""
    if not text.startswith(answer):
        return False
    rest, last = text[len(answer) :], answer[-1]
    if last.isdigit() and _NUMBER_GOES_ON.match(rest):
        return False
    if unicodedata.name(last, "").startswith(_UNSPACED):
        return True
    return not (rest and _in_word(rest[0]) and _in_word(last))


def _in_word(character: str) -> bool:
    """Returns whether a character is a letter, a digit, or a mark, which many scripts use for vowels."""
    return character.isalnum() or unicodedata.category(character).startswith("M")
