"""Comparison of names and other short answers, in any script, by their words and numbers."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction

from sequela.core.joining import is_unspaced
from sequela.evaluation.answer_reading.markup import INVISIBLE, with_plain_dashes
from sequela.evaluation.answer_reading.notations import common_numbers
from sequela.evaluation.answer_reading.numbers import as_number, value_at

_QUOTES = str.maketrans("’‘‛´`ʼ＇", "'''''''")
_GROUPED = re.compile(r"(?<![\d.,])(\d{1,3}(?:,\d{3})+|\d{1,3}(?:['’\u00a0\u202f\u2009]\d{3})+)(?![\d,]*\d)")
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
_KEPT_SYMBOL = "+#°♯♭"
"""Symbols that belong to a word: `C++` and `C#` are not `C`."""
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

    Case, Unicode form, punctuation, separators of thousands, zeros behind a decimal point and the kind of
    dash don't count. Symbols of a word (`C++`), decimal points and the signs of numbers do.
    """
    text = INVISIBLE.sub("", text)
    text = _GROUPED.sub(lambda match: re.sub(r"[,'’\s]", "", match[0]), text)
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    text = text.replace("i\u0307", "i")  # the small letter of a dotted capital I
    text = _AMPERSAND.sub(" and ", with_plain_dashes(text.translate(_QUOTES)))
    text = _NO_WHOLE_BEFORE_POINT.sub("0.", _ZEROS.sub("", text))
    text = _LAST_INITIAL.sub("", _INITIALS.sub(r"\1", text))
    text = _SINGLE.sub(r"\1", text)
    text = _MINUS_GRADE.sub(lambda match: match[1] + "\u2212" * len(match[2]), text)
    text = _SIGN.sub("\u2212", _POINT.sub("\u2024", text))
    kept = "".join(
        one if _in_word(one) or one in _KEPT_SYMBOL or one in "\u2212\u2024" else " " for one in text
    )
    kept = re.sub(rf"(?<![^\s])[{_KEPT_SYMBOL}]+(?!\S)", " ", kept)
    return " ".join(kept.replace("\u2212", "-").replace("\u2024", ".").split())


def without_article(text: str) -> str:
    """Returns words without an article at their beginning."""
    return _ARTICLE.sub("", text)


def without_articles(text: str) -> str:
    """Returns words without articles."""
    return " ".join(_ARTICLES.sub(" ", text).split())


def without_accents(text: str) -> str:
    """Returns a text with the letters that its accented Latin letters are based on."""
    text = text.translate(_STROKES)
    return "".join(_base(one) for one in unicodedata.normalize("NFC", text))


def _base(character: str) -> str:
    if not unicodedata.name(character, "").startswith("LATIN"):
        return character
    return "".join(one for one in unicodedata.normalize("NFD", character) if not unicodedata.combining(one))


def number_at_start(text: str) -> Fraction | None:
    """Returns the number that a text begins with; None if it begins with something else, or goes on in it."""
    bare = re.sub(r"^[\s\"'“”„«(]*(?:(?:the|an?)\s+)?", "", common_numbers(text), flags=re.IGNORECASE)
    quantity = value_at(bare, 0)
    if quantity is None or re.match(r"[-:/.,]?\w|\s?[%°]?-\d", bare[quantity.end :]):
        unit = quantity and re.match(r"[^\W\d_]+\b(?![-:])", bare[quantity.end :])
        return quantity.value if quantity and unit and not re.match(r"(?:st|nd|rd|th|s)\b", unit[0]) else None
    return quantity.value


def begins_with(text: str, answer: str) -> bool:
    """Returns whether words begin with those of an answer, and the answer doesn't end inside a word.

    In scripts without spaces between words, a word may go on behind the answer; in Korean, with a particle.
    """
    if not answer or not text.startswith(answer):
        return False
    rest, last = text[len(answer) :], answer[-1]
    if not rest or rest[0] == " ":
        return True
    if _is_hangul(last):
        return bool(_PARTICLE.match(rest))
    return is_unspaced(last)


def _is_hangul(character: str) -> bool:
    return unicodedata.name(character, "").startswith("HANGUL")


_PARTICLE = re.compile(
    unicodedata.normalize(
        "NFKC",
        r"(?:(?:에서|에게|에는|에도|에|께서|으로|로|까지|부터|처럼|보다|만큼|조차|마저|이나|나|만|와|과|하고|랑|이랑)?"
        r"(?:은|는|이|가|을|를|의|도|서)?(?:\W|$)"
        r"|(?:이다|다|이었|였|입니|임|이며|며|이고|고|이에요|예요|이야|야|이라|라|이지|지|이죠|죠|인|일|이네|네)\w*)",
    )
)
"""The endings of a Korean noun: particles, and the forms of the copula."""


def _in_word(character: str) -> bool:
    """Returns whether a character is a letter, a digit, or a mark, which many scripts use for vowels."""
    return character.isalnum() or unicodedata.category(character).startswith("M")


def same_name(text: str, name: str) -> bool:
    """Compares two names up to case, Unicode form, articles and punctuation, as the published script does.

    A name of articles or punctuation alone is compared with both.
    """
    for form in (_published, _with_articles, _literal):
        if form(name):
            return form(text) == form(name)
    return False


def name_within(text: str, name: str) -> bool:
    """Returns whether a text says a name, as whole words, without denying it or naming an alternative.

    A name of pronouns and articles, such as The Who, or of one letter has to be the whole text, or to be
    written within a sentence with its capitals and its article.
    """
    if same_name(text, name):
        return True
    said, wanted = (without_articles(without_accents(words(one))) for one in (text, name))
    if not wanted:
        return _bare(text) == _bare(name)
    if said == wanted or (is_all_number(name) and number_at_start(text) == as_number(name)):
        return True
    if len(wanted) == 1 or _PRONOUNS.fullmatch(wanted):
        own = re.escape(name)
        quoted = re.search(rf"[\"“‘«*_]{own}[\"”’»*_.]", text)
        within = re.search(rf"(?<=[\w,:(\"“'] ){own}(?!\w|['’]\w)", text)
        return len(name) > 1 and bool(quoted or within)
    pattern = re.compile(rf"(?<!\S){re.escape(wanted)}(?!\S)")
    if not (is_unspaced(wanted[-1]) or _is_hangul(wanted[-1])):
        return any(_is_said(said, match) for match in pattern.finditer(said))
    return wanted in said


_PRONOUNS = re.compile(
    r"(?:(?:i|me|my|you|your|he|him|his|she|her|it|its|we|us|our|they|them|their|who|whom|whose|what"
    r"|which|this|that|these|those|one|is|am|are|was|not|yes|no|so|do|to|in|on|at|if|and|or|but)\b ?)+"
)
_NOT_SAID = re.compile(r"(?:\bnot|\bnor|\bneither|\bor|\beither|\bisnt|\bisn t|\bwasn t|\bnever|\bthan)\s*$")


def _is_said(said: str, match: re.Match[str]) -> bool:
    return not _NOT_SAID.search(said[: match.start()]) and not re.match(r"\s+or\b", said[match.end() :])


def is_all_number(text: str) -> bool:
    """Returns whether a text is one number, without a word such as a unit."""
    return not any(one.isalpha() for one in text) and as_number(text) is not None


def _bare(text: str) -> str:
    """Returns the text of punctuation alone, without quotation marks and a full stop around it."""
    bare = _literal(text).strip("\"“”'‘’`* ")
    return bare.removesuffix(".") or bare


def _published(text: str) -> str:
    return without_articles(_with_articles(text))


def _with_articles(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w\s]|_", " ", folded).split())


def _literal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
