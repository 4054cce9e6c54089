"""Comparison of names and other short answers, in any script, by their words and numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property

from sequela.evaluation.answer_reading.clauses import has_a_sign_of_denial
from sequela.evaluation.answer_reading.notations import common_numbers
from sequela.evaluation.answer_reading.numbers import as_number, numbers_in, value_at
from sequela.evaluation.answer_reading.other_answers import states_another
from sequela.evaluation.answer_reading.own_names import says_own_name
from sequela.evaluation.answer_reading.parts_of_numbers import goes_on, has_begun
from sequela.evaluation.answer_reading.retractions import is_alternative, is_denied
from sequela.evaluation.answer_reading.spelling import Spelling, without_articles
from sequela.evaluation.answer_reading.statements import first_question
from sequela.evaluation.answer_reading.units import ATTACHED_UNIT


def number_at_start(text: str) -> Fraction | None:
    """Returns the number that a text begins with.

    None if it begins with something else, or goes on in the number: `4:30`, `18th`, `3 times 6`.
    A percentage or a temperature is another number than the same digits alone.
    """
    found = _number_at_start(text)
    return None if found is None or found[1] else found[0]


def begins_with_number(text: str, number: str) -> bool:
    """Returns whether a text begins with a number, in any notation; its own `%` or `°` may be left out."""
    return _is_number(_number_at_start(text), number)


def _is_number(found: _First | None, number: str) -> bool:
    own = _MARK.search(common_numbers(number))
    if found is None or found[0] != as_number(number):
        return False
    return not found[1] or (own is not None and own[0] == found[1][:1])


_First = tuple[Fraction, str]


def _number_at_start(text: str) -> _First | None:
    """Returns the number that a text begins with, and the mark of a percentage or of degrees behind it."""
    bare = re.sub(r"^[\s\"'“”„«(]*(?:(?:the|an?)\s+)?", "", common_numbers(text), flags=re.IGNORECASE)
    quantity = value_at(bare, 0)
    if quantity is None or goes_on(bare, quantity.end):
        return None
    rest = bare[quantity.end :]
    if re.match(r"[-:/.,]?\w|\s?[%°]?-\d", rest) and not _UNIT.match(rest):
        return None
    behind = re.sub(r"^\s?[^\W\d_]+(?:/[^\W\d_]+)?|^\s?[%°€£$]+", "", rest)
    if any(
        _SEVERAL.match(one) or is_denied("", one) or states_another("", bare[: quantity.end], one)
        for one in (rest, behind)
    ):
        return None
    several = is_alternative("", rest) or is_alternative("", behind)
    if several and not any(_OR_SO.match(one) for one in (rest, behind)):
        return None
    mark = _PERCENT_OR_DEGREES.match(rest)
    return quantity.value, "" if mark is None else "%" if mark["percent"] else mark[0].strip()


_UNIT = re.compile(ATTACHED_UNIT)
_MARK = re.compile(r"[%‰°]")
_PERCENT_OR_DEGREES = re.compile(r"\s?(?:[%‰°]|(?P<percent>percent|per\s+cent|pct)\b)", re.IGNORECASE)
_SEVERAL = re.compile(r"(?:,\s*-?\d[\d.]*)+,?\s*(?:or|and|to)\s+-?\d")
_OR_SO = re.compile(r"\s*or\s+(?:so|thereabouts)\b")


def same_name(text: str, name: str) -> bool:
    """Compares two names up to case, Unicode form, articles and punctuation, as the published script does.

    A name of articles or punctuation alone is compared with both.
    """
    for form in _FORMS:
        if form(name):
            return form(text) == form(name)
    return False


def name_within(text: str, names: Sequence[str]) -> bool:
    """Returns whether a text says one of the names, as whole words, undenied and without an alternative.

    A name of pronouns and articles, such as The Who, or of one letter has to be the whole text, or to be
    written as a name (see `own_names`).
    """
    said = _Said(_answer_alone(text))
    return any(said.says(name) for name in dict.fromkeys(names))


class _Said:
    """A text in which names are looked for; the forms in which it is compared are derived once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._verdicts: dict[tuple[str, ...], bool] = {}

    @cached_property
    def _spelling(self) -> Spelling:
        return Spelling.of(self._text, accents=False, articles=False)

    @cached_property
    def _forms(self) -> tuple[str, ...]:
        return tuple(form(self._text) for form in _FORMS)

    @cached_property
    def _numbers(self) -> tuple[Fraction, ...]:
        return _whole_numbers(self._text, marked=False)

    @cached_property
    def _marked_numbers(self) -> tuple[Fraction, ...]:
        return _whole_numbers(self._text, marked=True)

    @cached_property
    def _first_number(self) -> _First | None:
        return _number_at_start(self._text)

    def says(self, name: str) -> bool:
        """Returns whether the text says a name."""
        number = is_all_number(name)
        if number and not self._says_number(name):
            return False
        if self._is(name):
            denied = has_a_sign_of_denial(self._text) and not has_a_sign_of_denial(name)
            return not denied and not _is_another_word(self._text, name)
        wanted = Spelling.of(name, accents=False, articles=False).words
        if not wanted:
            return _bare(self._text) == _bare(name) or says_own_name(self._text, name)
        if self._spelling.words == wanted:
            return True
        if number and _is_number(self._first_number, name):
            return True
        if len(wanted) == 1 or _PRONOUNS.fullmatch(wanted):
            return says_own_name(self._text, name)
        starts = (match.start() for match in re.finditer(f"(?={re.escape(wanted)})", self._spelling.words))
        return any(self._says_between(start, start + len(wanted)) for start in starts)

    def _is(self, name: str) -> bool:
        for form, own in zip(_FORMS, self._forms, strict=True):
            if wanted := form(name):
                return own == wanted
        return False

    def _says_number(self, number: str) -> bool:
        """Returns whether one of the numbers is a given one, with its sign, and no part of another."""
        if _is_number(self._first_number, number):
            return True
        return as_number(number) in (self._marked_numbers if _MARK.search(number) else self._numbers)

    def _says_between(self, start: int, end: int) -> bool:
        """Returns whether a name counts; in a text that repeats itself, the same words are read once."""
        place = (*self._spelling.around(start, end), self._spelling.words[start:end])
        if place not in self._verdicts:
            self._verdicts[place] = self._spelling.says(start, end)
        return self._verdicts[place]


def _answer_alone(text: str) -> str:
    """Returns a text without the questions that a model asks itself behind its answer."""
    label = _QUESTION_LABEL.match(text)
    if label is None:
        return first_question(text)
    question, answer = label[0], text[label.end() :]
    return question + first_question(answer)


def _is_another_word(text: str, name: str) -> bool:
    """Returns whether words that equal a name of common words are others: `the US`, `Guess who`, `Where?`."""
    bare, own = text.strip(" .!\"'“”*_`"), name.strip(" .!\"'“”*_`")
    if not any(_PRONOUNS.fullmatch(word) for word in own.casefold().split()) or len(own.split()) > _FEW_WORDS:
        return False
    if _with_articles(bare) != _with_articles(own):
        return bare != re.sub(r"(?i)^(?:the|an?)\s+", "", own) and not says_own_name(text, name)
    if " " in own:
        return False
    return (bare.isupper() and len(bare) > 1 and not own.isupper()) or (
        bare.endswith("?") and not own.endswith("?") and bool(_QUESTION_WORD.fullmatch(own))
    )


_FEW_WORDS = 3
"""The number of words up to which a name of common words is distinguished from its words."""
_QUESTION_LABEL = re.compile(r"\s*(?:Q|Question)\s*:[^?\n]*\??")
_QUESTION_WORD = re.compile(r"(?:who|whom|whose|what|which|where|when|why|how)", re.IGNORECASE)
_PRONOUNS = re.compile(
    r"(?:(?:i|me|my|you|your|he|him|his|she|her|it|its|we|us|our|they|them|their|who|whom|whose|what"
    r"|which|where|when|why|how|this|that|these|those|one|is|am|are|was|not|yes|no|so|do"
    r"|to|in|on|at|if|and|or|but)\b ?)+"
)


def _whole_numbers(text: str, *, marked: bool) -> tuple[Fraction, ...]:
    """Returns the numbers of a text that are no part of another; percentages only if they are looked for."""
    bare = common_numbers(text)
    return tuple(
        one.value
        for one in numbers_in(bare)
        if not has_begun(bare, one.start)
        and not goes_on(bare, one.end)
        and (marked or _PERCENT_OR_DEGREES.match(bare, one.end) is None)
    )


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


_FORMS = (_published, _with_articles, _literal)
"""The forms in which names are compared: the first one in which a name has words counts."""
