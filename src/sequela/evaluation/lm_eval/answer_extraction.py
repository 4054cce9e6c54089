"""What a written answer says: extractors and comparisons, each a rule with a name.

An extractor reads the text and the choices that were shown; it never sees the right answer. A reading is
a list of extractors, of which the first that finds something counts, and the comparison that follows. The
strict reading takes only the form that the worked examples show; the lenient one takes what a person
would take. What lies between the two is the loss of form.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from pydantic import BaseModel, ConfigDict, Field, field_validator

EXTRACTION_VERSION = 1
"""Raised when a rule below starts to read the same text otherwise."""

Extractor = Callable[[str, Sequence[str]], str | None]
"""Finds an answer in a text, given the choices that were shown; None if there is none."""

Comparison = Callable[[str, Sequence[str]], bool]
"""Whether what was extracted is one of the right answers."""


class AnswerParser(BaseModel):
    """How a written answer is read.

    Args:
        extractors: Tried in order; the first that finds something counts.
        compare: How what it found is compared with the right answers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    extractors: tuple[str, ...] = Field(min_length=1)
    compare: str

    @field_validator("extractors")
    @classmethod
    def _known_extractors(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in EXTRACTORS:
                raise ValueError(f"names no extractor: {name!r}; known: {', '.join(EXTRACTORS)}")
        return value

    @field_validator("compare")
    @classmethod
    def _known_comparison(cls, value: str) -> str:
        if value not in COMPARISONS:
            raise ValueError(f"names no comparison: {value!r}; known: {', '.join(COMPARISONS)}")
        return value


@dataclass(frozen=True)
class Verdict:
    """What a reading makes of a text.

    Args:
        extracted: The answer it found; None if it found none.
        by: The extractor that found it.
        right: Whether it is right.
    """

    extracted: str | None
    by: str
    right: bool


UNPARSED = Verdict(None, "", False)
"""Nothing was found."""


def read(text: str, parser: AnswerParser, targets: Sequence[str], choices: Sequence[str] = ()) -> Verdict:
    """Reads a text.

    Args:
        text: What the model wrote.
        parser: How to read it.
        targets: The right answers.
        choices: The choices that were shown, in the order of their letters.
    """
    for name in parser.extractors:
        found = EXTRACTORS[name](text, choices)
        if found is not None:
            return Verdict(found, name, COMPARISONS[parser.compare](found, targets))
    return UNPARSED


def all_extracted(
    text: str, parsers: Mapping[str, AnswerParser], choices: Sequence[str]
) -> dict[str, str | None]:
    """What every extractor of some readings finds in a text."""
    names = dict.fromkeys(name for parser in parsers.values() for name in parser.extractors)
    return {name: EXTRACTORS[name](text, choices) for name in names}


# Letters

_LETTER = r"\(?(?P<letter>[A-Z])\)?(?![\w'’])"
_FIRST_LETTER = re.compile(rf"^[\s*_\"'`]*{_LETTER}")
_STATED_LETTER = re.compile(
    rf"(?i:\b(?:answer|option|choice)\b)(?:\s+(?i:is|would\s+be|should\s+be))?\s*:?\s*[*_\"'`]*{_LETTER}"
)
_ARTICLE_FOLLOWS = re.compile(r"\s+[a-z]")


def _first_letter(text: str, choices: Sequence[str]) -> str | None:
    """The letter the text begins with."""
    return _letter(_FIRST_LETTER.match(text), text, len(choices))


def _stated_letter(text: str, choices: Sequence[str]) -> str | None:
    """The letter after the last `answer is`, `answer:`, `option` or `choice`."""
    found = [_letter(match, text, len(choices)) for match in _STATED_LETTER.finditer(text)]
    return next((letter for letter in reversed(found) if letter is not None), None)


def _letter(match: re.Match[str] | None, text: str, n_choices: int) -> str | None:
    if match is None:
        return None
    letter = match["letter"]
    if not 0 <= ord(letter) - ord("A") < n_choices:
        return None
    bare = match[0].endswith(letter)
    # "A cat" is an article and its noun, "I think" a pronoun and its verb, not a choice.
    return None if bare and letter in "AI" and _ARTICLE_FOLLOWS.match(text, match.end()) else letter


def _choice_text(text: str, choices: Sequence[str]) -> str | None:
    """The letter of the only choice whose words stand at the beginning, or after the last `answer is`."""
    stated = _STATED.split(text)[-1]
    for said in (_words_of(text), _words_of(stated)):
        begun = [i for i, choice in enumerate(choices) if _begins(said, _words_of(choice))]
        longest = max(begun, key=lambda i: len(_words_of(choices[i])), default=None)
        if longest is not None:
            same = [i for i in begun if _words_of(choices[i]) == _words_of(choices[longest])]
            return string.ascii_uppercase[longest] if len(same) == 1 else None
    return None


def _begins(said: str, wanted: str) -> bool:
    return bool(wanted) and (said == wanted or said.startswith(f"{wanted} "))


# Numbers

_NUMBER = r"(?P<number>[-−]?\s?[$€£]?\s?\d[\d,]*(?:\.\d+)?|[-−]?\.\d+)"
_STATED = re.compile(r"(?i)\banswer\b(?:\s+(?:is|was|will\s+be|would\s+be|should\s+be|=)|\s*:)\s*:?")
_STATED_NUMBER = re.compile(rf"{_STATED.pattern}[^\d\n]{{0,20}}?{_NUMBER}")
_MARKED_NUMBER = re.compile(rf"(?m)^\s*(?:####|A:)\s*{_NUMBER}")
_ANY_NUMBER = re.compile(_NUMBER)


def _stated_number(text: str, _: Sequence[str]) -> str | None:
    """The number after the last `answer is`."""
    return _last_number_of(_STATED_NUMBER, text)


def _marked_number(text: str, _: Sequence[str]) -> str | None:
    """The number of the last line that begins with `####` or `A:`."""
    return _last_number_of(_MARKED_NUMBER, text)


def _last_number(text: str, _: Sequence[str]) -> str | None:
    """The last number anywhere."""
    return _last_number_of(_ANY_NUMBER, text)


def _last_number_of(pattern: re.Pattern[str], text: str) -> str | None:
    found = [match["number"] for match in pattern.finditer(text)]
    return found[-1].strip() if found else None


# Words

_OPTION = re.compile(r"\(([A-Z])\)")


def _stated_text(text: str, _: Sequence[str]) -> str | None:
    """The rest of the line after the last `answer is`."""
    parts = _STATED.split(text)
    if len(parts) == 1:
        return None
    return _first_line(parts[-1], ())


def _last_option(text: str, _: Sequence[str]) -> str | None:
    """The last letter in round brackets."""
    found = _OPTION.findall(text)
    return f"({found[-1]})" if found else None


def _first_line(text: str, _: Sequence[str]) -> str | None:
    """The first line with anything in it."""
    return next((line.strip() for line in text.splitlines() if line.strip()), None)


EXTRACTORS: dict[str, Extractor] = {
    "first_letter": _first_letter,
    "stated_letter": _stated_letter,
    "choice_text": _choice_text,
    "stated_number": _stated_number,
    "marked_number": _marked_number,
    "last_number": _last_number,
    "stated_text": _stated_text,
    "last_option": _last_option,
    "first_line": _first_line,
}


def _same_letter(found: str, targets: Sequence[str]) -> bool:
    return found in targets


def _same_number(found: str, targets: Sequence[str]) -> bool:
    value = as_number(found)
    return value is not None and any(as_number(target) == value for target in targets)


def _same_words(found: str, targets: Sequence[str]) -> bool:
    """Equal up to case, white space, quotes and emphasis around it, and a full stop at the end."""
    return any(_plain(found) == _plain(target) for target in targets)


def _same_name(found: str, targets: Sequence[str]) -> bool:
    """Equal up to case, accents' form, articles and punctuation."""
    return _words_of(found) in {_words_of(target) for target in targets} - {""}


def _name_within(found: str, targets: Sequence[str]) -> bool:
    """One of the names stands somewhere in it, word for word."""
    said = f" {_words_of(found)} "
    return any(f" {words} " in said for words in map(_words_of, targets) if words)


COMPARISONS: dict[str, Comparison] = {
    "letter": _same_letter,
    "number": _same_number,
    "words": _same_words,
    "name": _same_name,
    "name_within": _name_within,
}


def as_number(text: str) -> Decimal | None:
    """A number as it is written, signs of money and commas between thousands left out; None if it is none."""
    bare = re.sub(r"[\s,$€£%]", "", text.replace("−", "-")).rstrip(".")
    try:
        value = Decimal(bare)
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


_AROUND = "*_`\"'“”‘’ "
_NOT_A_WORD = re.compile(r"[^\w\s]|_")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")


def _plain(text: str) -> str:
    bare = " ".join(text.split()).strip(_AROUND).removesuffix(".").strip(_AROUND).casefold()
    option = re.fullmatch(r"\(?([a-z])\)?", bare)
    return option[1] if option else bare


def _words_of(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_ARTICLES.sub(" ", _NOT_A_WORD.sub(" ", folded)).split())
