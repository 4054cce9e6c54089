"""Parsing of generated answers: extractors and comparisons, each a named rule.

An extractor reads the text and the choices that were shown; it never sees the right answer. A parser is
a list of extractors, of which the first that finds an answer counts, and a comparison with the right answers.
The strict parser accepts only the form of the few-shot examples; the lenient one accepts what a person
would accept. The difference between their scores is the loss due to form.
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
"""Raised when a rule below starts to parse the same text differently."""

Extractor = Callable[[str, Sequence[str]], str | None]
"""A function that finds an answer in a text, given the choices that were shown; None if there is none."""

Comparison = Callable[[str, Sequence[str]], bool]
"""A function that returns whether an extracted answer is one of the right answers."""


class AnswerParser(BaseModel):
    """The rules that parse a generated answer.

    Args:
        extractors: The extractors, tried in order; the first that finds an answer counts.
        compare: The comparison of the extracted answer with the right answers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    extractors: tuple[str, ...] = Field(min_length=1)
    compare: str

    @field_validator("extractors")
    @classmethod
    def _known_extractors(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in EXTRACTORS:
                raise ValueError(f"has the unknown extractor {name!r}; known: {', '.join(EXTRACTORS)}")
        return value

    @field_validator("compare")
    @classmethod
    def _known_comparison(cls, value: str) -> str:
        if value not in COMPARISONS:
            raise ValueError(f"is the unknown comparison {value!r}; known: {', '.join(COMPARISONS)}")
        return value


@dataclass(frozen=True)
class Verdict:
    """The outcome of parsing a text.

    Args:
        extracted: The extracted answer; None if there is none.
        by: The extractor that found it.
        right: True if the answer is right.
    """

    extracted: str | None
    by: str
    right: bool


UNPARSED = Verdict(None, "", False)
"""The verdict on a text in which no answer was found."""


def read(text: str, parser: AnswerParser, targets: Sequence[str], choices: Sequence[str] = ()) -> Verdict:
    """Parses a generated answer.

    Args:
        text: The generated text.
        parser: The parser.
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
    """Returns what each extractor of the parsers finds in a text."""
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
    """Returns the letter that the text begins with."""
    return _letter(_FIRST_LETTER.match(text), text, len(choices))


def _stated_letter(text: str, choices: Sequence[str]) -> str | None:
    """Returns the letter after the last `answer is`, `answer:`, `option` or `choice`."""
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
    """Returns the letter of the only choice whose words are at the start or follow the last `answer is`."""
    stated = _STATED.split(text)[-1]
    for words in (_words_of(text), _words_of(stated)):
        matching = [i for i, choice in enumerate(choices) if _begins(words, _words_of(choice))]
        longest = max(matching, key=lambda i: len(_words_of(choices[i])), default=None)
        if longest is not None:
            same = [i for i in matching if _words_of(choices[i]) == _words_of(choices[longest])]
            return string.ascii_uppercase[longest] if len(same) == 1 else None
    return None


def _begins(words: str, start: str) -> bool:
    return bool(start) and (words == start or words.startswith(f"{start} "))


# Numbers

_NUMBER = r"(?P<number>[-−]?\s?[$€£]?\s?\d[\d,]*(?:\.\d+)?|[-−]?\.\d+)"
_STATED = re.compile(r"(?i)\banswer\b(?:\s+(?:is|was|will\s+be|would\s+be|should\s+be|=)|\s*:)\s*:?")
_STATED_NUMBER = re.compile(rf"{_STATED.pattern}[^\d\n]{{0,20}}?{_NUMBER}")
_MARKED_NUMBER = re.compile(rf"(?m)^\s*(?:####|A:)\s*{_NUMBER}")
_ANY_NUMBER = re.compile(_NUMBER)


def _stated_number(text: str, _: Sequence[str]) -> str | None:
    """Returns the number after the last `answer is`."""
    return _last_number_of(_STATED_NUMBER, text)


def _marked_number(text: str, _: Sequence[str]) -> str | None:
    """Returns the number of the last line that begins with `####` or `A:`."""
    return _last_number_of(_MARKED_NUMBER, text)


def _last_number(text: str, _: Sequence[str]) -> str | None:
    """Returns the last number in the text."""
    return _last_number_of(_ANY_NUMBER, text)


def _last_number_of(pattern: re.Pattern[str], text: str) -> str | None:
    found = [match["number"] for match in pattern.finditer(text)]
    return found[-1].strip() if found else None


# Words

_OPTION = re.compile(r"\(([A-Z])\)")


def _stated_text(text: str, _: Sequence[str]) -> str | None:
    """Returns the rest of the line after the last `answer is`."""
    parts = _STATED.split(text)
    if len(parts) == 1:
        return None
    return _first_line(parts[-1], ())


def _last_option(text: str, _: Sequence[str]) -> str | None:
    """Returns the last letter in round brackets."""
    found = _OPTION.findall(text)
    return f"({found[-1]})" if found else None


def _first_line(text: str, _: Sequence[str]) -> str | None:
    """Returns the first line that isn't blank."""
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
    """Compares up to case, white space, surrounding quotes and emphasis, and a final full stop."""
    return any(_plain(found) == _plain(target) for target in targets)


def _same_name(found: str, targets: Sequence[str]) -> bool:
    """Compares up to case, Unicode form, articles and punctuation."""
    return _words_of(found) in {_words_of(target) for target in targets} - {""}


def _name_within(found: str, targets: Sequence[str]) -> bool:
    """Returns whether one of the names occurs in the text, as whole words."""
    padded = f" {_words_of(found)} "
    return any(f" {words} " in padded for words in map(_words_of, targets) if words)


COMPARISONS: dict[str, Comparison] = {
    "letter": _same_letter,
    "number": _same_number,
    "words": _same_words,
    "name": _same_name,
    "name_within": _name_within,
}


def as_number(text: str) -> Decimal | None:
    """Parses a number, ignoring currency signs and thousands separators; None if it isn't a number."""
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
