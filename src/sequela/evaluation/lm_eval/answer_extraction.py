"""Parsing of generated answers: extractors and comparisons, each a named rule.

An extractor reads the text and the choices that were shown; it never sees the right answer. A parser is
a list of extractors, of which the first that finds an answer counts, and a comparison with the right answers.
The strict parser accepts only the form of the few-shot examples; the lenient one accepts what a person
would accept. The difference between their scores is the loss due to form.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sequela.evaluation.answer_reading import boxes, letters
from sequela.evaluation.answer_reading.choices import behind_choice, is_part_of_a_number
from sequela.evaluation.answer_reading.clauses import CORRECTIONS, is_in_a_question
from sequela.evaluation.answer_reading.closed_words import (
    begins_with_closed_word,
    denies_validity,
    first_closed_word,
    stated_closed_word,
    word_in_place_of_a_denied_one,
)
from sequela.evaluation.answer_reading.denials import is_asked, is_denied_before, is_denied_behind
from sequela.evaluation.answer_reading.letters_of_words import is_an_initial
from sequela.evaluation.answer_reading.long_texts import readable
from sequela.evaluation.answer_reading.markup import plain
from sequela.evaluation.answer_reading.names import begins_with_number, name_within, same_name
from sequela.evaluation.answer_reading.numbers import as_number
from sequela.evaluation.answer_reading.retractions import (
    around,
    doubts_what_follows,
    is_alternative,
    is_denied,
)
from sequela.evaluation.answer_reading.several_letters import is_one_of_several
from sequela.evaluation.answer_reading.spelling import begins_with, without_articles, words
from sequela.evaluation.answer_reading.statements import (
    STATED,
    first_question,
    last_number,
    marked_numbers,
    stated_numbers,
)
from sequela.evaluation.answer_reading.thinking import END_OF_THINKING

EXTRACTION_VERSION = 5
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


def read(
    text: str,
    parser: AnswerParser,
    targets: Sequence[str],
    choices: Sequence[str] = (),
    end_of_thinking: str = END_OF_THINKING,
) -> Verdict:
    """Parses a generated answer, without its thinking.

    Args:
        text: The generated text.
        parser: The parser.
        targets: The right answers.
        choices: The choices that were shown, in the order of their letters.
        end_of_thinking: The mark at which the model stops thinking.
    """
    text = readable(text, end_of_thinking)
    for name in parser.extractors:
        found = EXTRACTORS[name](text, choices)
        if found is not None:
            return Verdict(found, name, COMPARISONS[parser.compare](found, targets))
    return UNPARSED


def all_extracted(
    text: str,
    parsers: Mapping[str, AnswerParser],
    choices: Sequence[str],
    end_of_thinking: str = END_OF_THINKING,
) -> dict[str, str | None]:
    """Returns what each extractor of the parsers finds in a text without its thinking."""
    text = readable(text, end_of_thinking)
    names = dict.fromkeys(name for parser in parsers.values() for name in parser.extractors)
    return {name: EXTRACTORS[name](text, choices) for name in names}


# Letters


def _first_letter(text: str, choices: Sequence[str]) -> str | None:
    """Returns the letter that the text begins with."""
    return letters.first_letter(text, choices)


def _stated_letter(text: str, choices: Sequence[str]) -> str | None:
    """Returns the letter of the last statement: after `answer is`, `option`, `I choose` and the like."""
    return letters.stated_letter(text, choices)


def _chosen_letter(text: str, choices: Sequence[str]) -> str | None:
    """Returns the letter that the text begins with or states, in any markup."""
    return letters.chosen_letter(text, choices)


def _whole_choice(text: str, choices: Sequence[str]) -> str | None:
    """Returns the letter of the only choice that is the whole first line, such as `C. elegans`."""
    line = _literal(_first_line(text, ()) or "")
    same = [i for i, choice in enumerate(choices) if len(line) > 1 and _literal(choice) == line]
    return string.ascii_uppercase[same[0]] if len(same) == 1 else None


def _choice_text(text: str, choices: Sequence[str]) -> str | None:
    """Returns the letter of the only choice whose words are at the start or follow the last `answer is`."""
    text = _ECHO.sub("", plain(first_question(text)))
    statements = [*STATED.finditer(text)][-1:]
    statements += [*_CHOICE_STATED.finditer(text, statements[-1].end() if statements else 0)][-1:]
    shown = [without_articles(words(choice)) for choice in choices]
    for statement in (None, *statements[-1:]):
        stated = text[statement.end() :] if statement else text
        said = without_articles(words(stated))
        matching = [i for i, choice in enumerate(shown) if begins_with(said, choice)]
        longest = max(matching, key=lambda i: len(shown[i]), default=None)
        if longest is None or _is_not_meant(text, statement, choices[longest]):
            continue
        rest = re.sub(r"^(?:(?:or|and|[b-z])\s+)*", "", said[len(shown[longest]) :].strip())
        others = [choice for choice in shown if choice != shown[longest]]
        several = any(begins_with(rest, other) for other in others)
        behind = behind_choice(_LEADING.sub("", stated), [choices[longest]]) or ""
        several = several or is_one_of_several(string.ascii_uppercase[longest], behind, choices, stated=True)
        same = [i for i in matching if shown[i] == shown[longest]]
        return string.ascii_uppercase[longest] if len(same) == 1 and not several else None
    return None


def _is_not_meant(text: str, statement: re.Match[str] | None, choice: str) -> bool:
    """Returns whether the words of a choice are denied, asked about, or only a part of a number."""
    start, end = (statement.start(), statement.end()) if statement else (0, 0)
    stated = text[end:]
    if is_part_of_a_number(stated, choice) or (statement and is_denied_before(text, start, end)):
        return True
    behind = behind_choice(_LEADING.sub("", stated), [choice])
    return behind is not None and (is_denied_behind(stated, behind) or is_asked(text[:start], behind))


_LEADING = re.compile(r"(?i)^[^\w]*(?:(?:the|an?)\b[\s.)\]:]+)?")
"""Marks and an article before the words of a choice."""
_ECHO = re.compile(r"^\s*(?:A|Answer)\s*:\s*")
_CHOICE_STATED = re.compile(
    r"(?i)(?<!because\s)(?<!since\s)(?:\b(?:it|that|this|(?:option|choice|solution|response)(?:\s+here)?))"
    r"(?:\s+(?:is|(?:would|must|should|has\s+to)\s+be)|(?<=it)['’]s|(?<=that)['’]s)\b\s*:?"
)
"""Further words that state a choice, outside of a statement of an answer."""


# Numbers


def _stated_number(text: str, _: Sequence[str]) -> str | None:
    """Returns the number after the last `answer is`, unless that is denied or one of several."""
    found = [*stated_numbers(text)]
    return found[-1] if found else None


def _first_stated_number(text: str, _: Sequence[str]) -> str | None:
    """Returns the number after the first `answer is` that has one, as the harness's strict filter does."""
    return next((number for number in stated_numbers(text, strict=True) if number is not None), None)


def _marked_number(text: str, _: Sequence[str]) -> str | None:
    """Returns the number of the last line that begins with `####` or `A:`."""
    found = marked_numbers(text)
    return found[-1] if found else None


def _plain_marked_number(text: str, _: Sequence[str]) -> str | None:
    """Returns the same in the notations of numbers that the strict reading accepts."""
    found = marked_numbers(text, strict=True)
    return found[-1] if found else None


def _last_number(text: str, _: Sequence[str]) -> str | None:
    """Returns the last number in the text, unless a statement or a box in it has an answer that isn't one."""
    if [*stated_numbers(text)][-1:] == [None] or boxes.has_unread_box(text):
        return None
    return last_number(text)


def _boxed_number(text: str, _: Sequence[str]) -> str | None:
    """Returns the number in the last box of LaTeX, unless the text around it denies it."""
    return boxes.boxed_number(text)


# Words

_OPTION = re.compile(r"\(([A-Z])\)")
_LISTED_OPTION = re.compile(r"(?m)^\s*\([A-Z]\)")
_STATED_OPTION = re.compile(
    r"^[\s:*_\"'`“”‘’$<\[{-]*(?:(?i:(?:the\s+)?(?:option|choice|letter|answer))\s+)?(?:\(\s?([A-Za-z])\s?\)"
    r"|([A-Z])(?![^\n]{1,80}=)(?:\)|(?=[\s*_\"'`“”’$>\]}.,]*(?:$|\n|[.:,]\s|\s[-–—]\s))))"
)
_OR_ANOTHER = re.compile(
    r"(?i)[\s*_\"'”’)]*(?:[\s,;(–—-]*(?:or|versus|vs)\b|[,;.?!…(–—-]+\s*(?:or\s+)?(?:maybe|perhaps|possibly"
    r"|alternatively)\b"
    r"[\s,]*(?:it\s+is\s+|it['’]s\s+)?\(?(?-i:[A-Z])\b)"
)
"""An alternative behind an option: `or maybe (A)`, `or something`."""
_HEDGE = re.compile(
    r"(?i)[\s,:]*(?:(?:(?:most\s+|very\s+)?(?:likely|probably)|definitely|certainly|clearly|obviously|surely"
    r"|indeed|actually"
    r"|of\s+course|in\s+fact|therefore|thus|that\s+(?:it|this)\s+is)\b[\s,:]*)+"
    r"(?=[*_\"'“]*(?:\(\s?[A-Z]\s?\)|(?:not\s+valid|yes|no|true|false|valid|invalid|plausible"
    r"|implausible)\b))"
)
"""Words between a statement and an option or a closed word: `most likely`, `that it is`."""
_EQUATION = re.compile(r"[A-Z(][A-Z\d\s()*+/=.,·×÷-]*=\s*(-?\s?\d[\d,]*(?:\.\d+)?)\s*[.!]?\s*")
"""An equation of letters and numbers, whose last side is the result."""
_NEXT_SENTENCE = re.compile(r"[.!]\s+(?=[A-Z][a-z])")
_DENIED_ANSWER = re.compile(
    r"(?i)\W*(?:(?:definitely|certainly|clearly|surely|probably|therefore|also|simply|of\s+course)[\s,]+)*"
    r"(?:not|never|neither|either|(?:any|every)thing\s+(?:but|except)|(?:any|some)thing\s+other\s+than"
    r"|other\s+than)\b"
)


def _stated_text(text: str, _: Sequence[str]) -> str | None:
    """Returns the rest of the line after the last `answer is`."""
    parts = STATED.split(first_question(text))
    return None if len(parts) == 1 else _first_line(parts[-1], ())


def _stated_answer(text: str, _: Sequence[str]) -> str | None:
    """Returns the option, the `yes` or `no`, or else the line that the last `answer is` is followed by."""
    whole = plain(first_question(text))
    behind = STATED.split(whole)[-1]
    if len(behind) == len(whole):
        return word_in_place_of_a_denied_one(whole)
    if hedge := _HEDGE.match(behind):
        behind = behind[hedge.end() :]
    stated = _first_line(behind, ())
    if stated is None:
        return None
    leading = whole[: len(whole) - len(behind)] + " "
    if doubts_what_follows(leading, behind):
        return None
    if is_in_a_question(leading, behind):
        return _instead(behind)
    if option := _STATED_OPTION.match(stated):
        letter, rest = (option[1] or option[2]).upper(), stated[option.end() :]
        several = re.match(
            r"\W*(?:or|and|nor|/|&)?\W*\(?(?!I['’\s]+[a-z])[A-Z]\)?(?:\W|$)", rest
        ) and re.match(r"\s*(?:,|/|&|or\b|and\b|nor\b|\()", rest)
        rest_of_text = behind[behind.find(stated) + option.end() :]
        if is_denied("", rest_of_text):
            return _instead(rest_of_text)
        several = several or _OR_ANOTHER.match(rest)
        return None if several or letter in _denied_options(rest_of_text) else f"({letter})"
    if denies_validity(stated):
        return stated_closed_word(stated)
    if _DENIED_ANSWER.match(stated):
        corrected = re.search(r"(?i)(?<!thing )\b(?:but|rather|instead)\s+\(([A-Z])\)", stated)
        return f"({corrected[1].upper()})" if corrected else word_in_place_of_a_denied_one(whole)
    if begins_with_closed_word(stated):
        return stated_closed_word(behind)
    return _result(stated) or _first_sentence(stated)


def _result(stated: str) -> str | None:
    """Returns the last side of an equation that begins with letters: `A + B = 7 + 2 = 9`."""
    found = _EQUATION.fullmatch(stated)
    return found[1] if found else None


def _first_sentence(stated: str) -> str:
    """Returns the words or brackets of a statement up to a next sentence, unless that takes them back."""
    end = None if re.search(r"\d", stated) else _NEXT_SENTENCE.search(stated)
    if end is None or is_denied("", stated[end.start() :]) or is_alternative("", stated[end.start() :]):
        return stated
    return stated[: end.start()]


_IN_ITS_PLACE = re.compile(
    rf"(?i)\W*(?:\([A-Z]\)|\w+)?[^\w()]+(?:(?:(?:{CORRECTIONS}|but|oh|and|well|rather"
    rf"|instead)\b[\s,.:;!…–—-]*)+"
    r"(?:(?:it|that|this|the\s+(?:\w+\s+)?answer)\s*(?:is|was|['’]s|should\s+be)\s*)?|(?:it|that)\s*(?:is"
    r"|['’]s)\s+)"
    r"(?:(?:really|actually|rather|option)\s+)*\(([A-Z])\)(?!\s*\?)"
)


def _instead(behind: str) -> str | None:
    """Returns the option in the place of one that is taken back: `(B). Actually, (C)`, `(B)? No, (C)`."""
    found = _IN_ITS_PLACE.match(behind)
    if found is None or is_denied("", behind[found.end() :]) or is_alternative("", behind[found.end() :]):
        return None
    return f"({found[1].upper()})"


def _denied_options(text: str) -> set[str]:
    """Returns the letters in round brackets of which every mention is denied."""
    said: dict[str, list[bool]] = {}
    judged: dict[tuple[str, str], bool] = {}  # so that a text that repeats itself takes no longer
    for option in _OPTION.finditer(text):
        near = around(text, *option.span())
        if near not in judged:
            judged[near] = is_denied(*near)
        said.setdefault(option[1], []).append(judged[near])
    return {letter for letter, denied in said.items() if all(denied)}


def _last_option(text: str, _: Sequence[str]) -> str | None:
    """Returns the last letter in round brackets that isn't denied, outside of a list of options."""
    bare = plain(first_question(text))
    listed = _LISTED_OPTION.findall(bare)
    outside = _LISTED_OPTION.sub("", bare) if len(listed) > 1 else bare
    outside = _SEVERAL_OPTIONS.sub(_unless_denied, outside)
    found = _OPTION.findall(outside)
    if len(found) > 2 and found == list(string.ascii_uppercase[: len(found)]):
        return None
    if _TWO_OPTIONS.search(outside) or STATED.search(text) is not None:
        return None
    denied = _denied_options(outside)
    found = [letter for letter in found if letter not in denied]
    return f"({found[-1]})" if found else None


def _unless_denied(options: re.Match[str]) -> str:
    """Returns a row of options, or none of it if the text denies them: `(A) and (B) are wrong`."""
    return "" if is_denied(*around(options.string, *options.span())) else options[0]


_SEVERAL_OPTIONS = re.compile(r"\([A-Z]\)(?:,?\s*(?:(?:and|or|nor)\s+)?\([A-Z]\))+")
_TWO_OPTIONS = re.compile(r"\([A-Z]\)[\s,/&]*(?:(?:and|or|nor)\s+)?\([A-Z]\)")
_ONLY_OPTION = re.compile(
    r"[\s:*_\"'`“”‘’$<\[{-]*(?:option\s+)?(?:([A-Z])[\s*_\"'`“”’$>\]}.]*$|([A-Z])\)\s|([A-Z])\.\s(?=\s*\S)"
    r"|\(([a-z])\)[\s.]*$)"
)
_CHOSEN_OPTION = re.compile(
    r"\s*(?:(?:so|therefore|thus|hence)[,\s]+)?i(?:\s+would|['’]d|\s+will|['’]ll)?\s+(?:choose|pick|select"
    r"|go\s+with|say)\s+(?:option\s+)?"
    r"(?-i:([A-Z]))\s*[.!]?\s*$",
    re.IGNORECASE,
)


def _first_option(text: str, _: Sequence[str]) -> str | None:
    """Returns the option that is the whole first line, or its label, as in `B) a fir`."""
    line = plain(_first_line(text, ()) or "") + "\n"
    option = _CHOSEN_OPTION.match(line) or _ONLY_OPTION.match(line)
    listed = _LABELED.findall(plain(first_question(text)))
    if option is None or len(listed) > 1 or is_denied("", " " + line[option.end() :].strip()):
        return None
    (letter,) = (one for one in option.groups() if one)
    if option.re is _ONLY_OPTION and option[3] and is_an_initial(line[option.end(3) :], ()):
        return None
    return f"({letter.upper()})"


_LABELED = re.compile(r"(?m)(?:^|\s)\(?[A-Z]\)\s")


def _first_closed_word(text: str, _: Sequence[str]) -> str | None:
    """Returns `yes`, `no`, `true`, `false`, `valid` or `invalid` if the text begins with it."""
    return first_closed_word(plain(first_question(text)))


_WHOLE_LINE = re.compile(
    r"[\s=$*_`\"'“]*((?:-\s?)?\d[\d,]*(?:\.\d+)?|[][(){}<>](?: ?[][(){}<>])*"
    r"|(?!.*\b(?:yes|no|true|false|valid|invalid|not|and|or|the|is|it"
    r"|i)\b)[a-z][a-z'’-]+(?: [a-z][a-z'’-]+)+)[\s$*_`\"'“”.]*"
)
"""A number, a row of brackets, or a row of small words that are no sentence."""


def _whole_line(text: str, _: Sequence[str]) -> str | None:
    """Returns the number, the brackets or the small words that are the whole text, or its last box."""
    box = next(reversed([*letters.BOXED.finditer(text)]), None)
    if box and (STATED.search(text) or is_denied(*around(text, *box.span()))):
        return None
    found = _WHOLE_LINE.fullmatch(plain(box[1] if box else first_question(text)))
    return found[1] if found else None


def _first_line(text: str, _: Sequence[str]) -> str | None:
    """Returns the first line that isn't blank."""
    return next((line.strip() for line in text.splitlines() if line.strip()), None)


EXTRACTORS: dict[str, Extractor] = {
    "first_letter": _first_letter,
    "stated_letter": _stated_letter,
    "chosen_letter": _chosen_letter,
    "whole_choice": _whole_choice,
    "choice_text": _choice_text,
    "stated_number": _stated_number,
    "first_stated_number": _first_stated_number,
    "boxed_number": _boxed_number,
    "marked_number": _marked_number,
    "plain_marked_number": _plain_marked_number,
    "last_number": _last_number,
    "stated_text": _stated_text,
    "stated_answer": _stated_answer,
    "first_option": _first_option,
    "first_closed_word": _first_closed_word,
    "last_option": _last_option,
    "whole_line": _whole_line,
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


def _same_answer(found: str, targets: Sequence[str]) -> bool:
    """Compares like `words`, and numbers by value, brackets without spaces, words without commas."""
    return _same_words(found, targets) or any(_is_same_answer(found, target) for target in targets)


def _is_same_answer(found: str, target: str) -> bool:
    if as_number(target) is not None:
        return begins_with_number(found.lstrip(" =≈:"), target)
    if not words(target):
        brackets = [re.sub(r"[\s.,*_`\"'“”‘’$]", "", plain_text) for plain_text in (found, target)]
        return brackets[0] == brackets[1] != ""
    return not _OPTION.fullmatch(target.strip()) and words(found) == words(target)


def _same_name(found: str, targets: Sequence[str]) -> bool:
    """Compares up to case, Unicode form, articles and punctuation."""
    return any(same_name(found, target) for target in targets)


COMPARISONS: dict[str, Comparison] = {
    "letter": _same_letter,
    "number": _same_number,
    "words": _same_words,
    "answer": _same_answer,
    "name": _same_name,
    "name_within": name_within,
}


_AROUND = "*_`\"'“”‘’ "


def _plain(text: str) -> str:
    bare = " ".join(text.split()).strip(_AROUND).removesuffix(".").strip(_AROUND).casefold()
    option = re.fullmatch(r"\(?([a-z])\)?", bare)
    return option[1] if option else bare


def _literal(text: str) -> str:
    return " ".join(text.casefold().split()).strip("*_`\"'“”‘’. ")
