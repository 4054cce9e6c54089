"""The spelling in which texts are compared: their words and numbers, in any script."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from sequela.evaluation.answer_reading.markup import INVISIBLE, with_plain_dashes
from sequela.evaluation.answer_reading.other_answers import states_another
from sequela.evaluation.answer_reading.retractions import around, is_alternative, is_denied
from sequela.evaluation.answer_reading.word_ends import (
    ATTACHED,
    WORD_SIGNS,
    goes_on,
    has_begun,
    is_abbreviated,
)

_QUOTES = str.maketrans("’‘‛´`ʼ＇", "'''''''")
_GROUPED = re.compile(r"(?<![\d.,])(\d{1,3}(?:,\d{3})+|\d{1,3}(?:['’٬\u00a0\u202f\u2009]\d{3})+)(?![\d,]*\d)")
_ZEROS = re.compile(r"(?<=\d)\.0+(?!\d|\.\d)")
_NO_WHOLE_BEFORE_POINT = re.compile(r"(?<![\w.])\.(?=\d)")
_INITIALS = re.compile(r"\b([^\W\d_])\.\s?(?=[^\W\d_](?:\.|$|\W))")
_LAST_INITIAL = re.compile(r"(?<=\b[^\W\d_])\.(?=\W|$)")
_SINGLE = re.compile(r"\b([^\W\d_])['-](?=[^\W\d_])")
_POINT = re.compile(r"(?<=\d)\.(?=\d)")
_SIGN = re.compile(r"(?<![\w)\]])-(?=\d)")
_MINUS_GRADE = re.compile(r"(?<!\w)([^\W\d_])(-{1,2})(?=[\s.,;!?)]|$)")
"""A minus that belongs to a letter: `A-` and `C--` are not `A` and `C`."""
_AMPERSAND = re.compile(r"\s*&\s*")
_ATTACHED_AMPERSAND = re.compile(r"(?<=\w)\\?&(?=\w)")
_LEADING_POINT = re.compile(r"(?:^|(?<=[\s(\[\"']))\.(?=[^\W\d_])")
"""The point of `.NET`."""
_UNSPACED_SENTENCE = re.compile(r"(?<=\w\w)\.(?=([^\W\d_])([^\W\d_]))")
_STAR = re.compile(r"(?<![\w*])([^\W\d_])\*(?=[\s.,;!?)]|$)")
"""The star of a letter, as in `A* search`, unless it ends an emphasis."""
_FOOTNOTE = re.compile(r"(?<=[^\W\d_]{3})[⁰¹²³⁴-⁹]+(?!\w)|[™®℠](?!\w)")
"""The number of a note and the mark of a brand behind a word."""
_DIGIT = re.compile(r"\d")
_ARTICLE = re.compile(r"^(?:the|an?)\s+(?=\S)")
_STROKES = str.maketrans(
    {
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "ð": "d",
        "ı": "i",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "Þ": "Th",
    }
)
"""Latin letters that Unicode doesn't decompose."""
_ARTICLES = re.compile(r"\b(?:the|an?)\b")


def words(text: str) -> str:
    """Returns the words and numbers of a text, joined by spaces.

    Case, Unicode form, punctuation, separators of thousands, zeros behind a decimal point, the kind of dash,
    and the marks that a script may leave out (Greek accents, vowel points) don't count. Symbols of a word
    (`C++`, `A*`, `.NET`), decimal points and the signs of numbers do.
    """
    return Spelling.of(text).words


@dataclass(frozen=True)
class Spelling:
    """A text in the spelling in which texts are compared.

    Args:
        text: The text with its punctuation.
        words: Its words and numbers, joined by spaces.
        places: For each character of the words, its place in the text.
        cased: The text with its capitals, if these stand at the same places.
    """

    text: str
    words: str
    places: tuple[int, ...]
    cased: str

    @classmethod
    def of(cls, text: str, *, accents: bool = True, articles: bool = True) -> Spelling:
        """Returns the spelling of a text, with or without the accents of Latin letters, and articles."""
        spelled, cased = _spelled(text), _spelled(text, fold=False)
        if not accents:
            spelled, cased = without_accents(spelled), without_accents(cased)
        found = [match for match in re.finditer(r"\S+", _kept(spelled)) if match[0].strip(WORD_SIGNS)]
        if not articles:
            found = [match for match in found if not _ARTICLES.fullmatch(match[0])]
        joined: list[str] = []
        places: list[int] = []
        for match in found:
            joined.append(match[0])
            places += [*range(match.start(), match.end()), match.end()]
        return cls(spelled, " ".join(joined), tuple(places), cased if len(cased) == len(spelled) else spelled)

    def around(self, start: int, end: int) -> tuple[str, str]:
        """Returns the text near the words between two places, before and behind them."""
        return around(self.text, self.places[start], self.places[end - 1] + 1)

    def says(self, start: int, end: int) -> bool:
        """Returns whether the words between two places are whole, and not taken back."""
        before, after = self.around(start, end)
        said = self.words[start:end]
        whole = not (has_begun(before, said[0]) or goes_on(said[-1], after) or is_abbreviated(said, after))
        if not whole or is_denied(before, after) or is_alternative(before, after):
            return False
        first, last = self.places[start], self.places[end - 1] + 1
        before, after = around(self.cased, first, last)
        return not states_another(before, self.cased[first:last], after)


def _spelled(text: str, *, fold: bool = True) -> str:
    text = INVISIBLE.sub("", text)
    text = _STAR.sub(
        lambda match: match[1] + ("*" if text.count("*", 0, match.start()) % 2 else "\u2217"), text
    )
    text = _UNSPACED_SENTENCE.sub(
        lambda match: ". " if match[1].isupper() and match[2].islower() else ".", text
    )
    text = without_notes(text)
    text = _GROUPED.sub(lambda match: re.sub(r"[,'’\s٬]", "", match[0]), text)
    text = unicodedata.normalize("NFKC", text)
    if fold:
        text = unicodedata.normalize("NFKC", text.casefold())
    text = text if text.isascii() else _DIGIT.sub(lambda match: str(unicodedata.decimal(match[0])), text)
    text = text.replace("i\u0307", "i")  # the small letter of a dotted capital I
    text = without_optional_marks(text)
    text = _ATTACHED_AMPERSAND.sub(f"{ATTACHED} and {ATTACHED}", with_plain_dashes(text.translate(_QUOTES)))
    text = _NO_WHOLE_BEFORE_POINT.sub("0.", _ZEROS.sub("", _AMPERSAND.sub(" and ", text)))
    text = _LAST_INITIAL.sub("", _INITIALS.sub(r"\1", text))
    text = _SINGLE.sub(r"\1", text)
    text = _MINUS_GRADE.sub(lambda match: match[1] + "\u2212" * len(match[2]), text)
    return _LEADING_POINT.sub("\u2024", _SIGN.sub("\u2212", _POINT.sub("\u2024", text)))


def without_notes(text: str) -> str:
    """Returns a text without the numbers of notes and the marks of brands: `Rome¹`, `Rome™`."""
    return _FOOTNOTE.sub("", text)


def _kept(spelled: str) -> str:
    """Returns a spelled text with spaces in place of its punctuation, and of the same length."""
    kept = "".join(one if _in_word(one) or one in WORD_SIGNS + "\u2212\u2024" else " " for one in spelled)
    return kept.replace("\u2212", "-").replace("\u2024", ".")


def without_article(text: str) -> str:
    """Returns words without an article at their beginning."""
    return _ARTICLE.sub("", text)


def without_articles(text: str) -> str:
    """Returns words without articles."""
    return " ".join(_ARTICLES.sub(" ", text).split())


_OPTIONAL_MARKS = re.compile(
    "(?<=[а-яё])\u0301|[\u0640\u064b-\u0652\u0670]|[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]"
)
"""Stress in Cyrillic, vowel points and lengthened lines in Arabic, and points in Hebrew."""


def without_optional_marks(text: str) -> str:
    """Returns a text without the marks that its script may leave out, such as Greek accents in capitals."""
    text = _OPTIONAL_MARKS.sub("", text).replace("ё", "е")
    if not any("\u0370" <= one <= "\u03ff" or "\u1f00" <= one <= "\u1fff" for one in text):
        return text
    return "".join(_base(one, "GREEK") for one in unicodedata.normalize("NFC", text)).replace("ς", "σ")


def without_accents(text: str) -> str:
    """Returns a text with the letters that its accented Latin letters are based on."""
    text = text.translate(_STROKES)
    return "".join(_base(one) for one in unicodedata.normalize("NFC", text))


def _base(character: str, script: str = "LATIN") -> str:
    if not unicodedata.name(character, "").startswith(script):
        return character
    return "".join(one for one in unicodedata.normalize("NFD", character) if not unicodedata.combining(one))


def begins_with(text: str, answer: str) -> bool:
    """Returns whether words begin with those of an answer, and the answer doesn't end inside a word.

    `word_ends` describes where a word ends in scripts without spaces between words, and in Korean.
    """
    return bool(answer) and text.startswith(answer) and not goes_on(answer[-1], text[len(answer) :])


def _in_word(character: str) -> bool:
    """Returns whether a character is a letter, a digit, or a mark, which many scripts use for vowels."""
    return character.isalnum() or unicodedata.category(character).startswith("M")
