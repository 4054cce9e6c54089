"""Reading of generated answers by any of the readers, outside of an evaluation."""

from __future__ import annotations

import string
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictStr,
    ValidationError,
    model_validator,
)

from sequela.core.errors import BadInputError, near_matches
from sequela.core.plain_values import can_be_encoded
from sequela.core.text_files import read_json_lines
from sequela.core.validation import in_words
from sequela.core.visible_text import is_blank
from sequela.evaluation.answer_reading.thinking import END_OF_THINKING
from sequela.evaluation.edit_quality.answer_matching import starts_with_answer
from sequela.evaluation.lm_eval.answer_extraction import COMPARISONS, read
from sequela.evaluation.lm_eval.task_file import task_files

Reader = Literal["letters", "number", "bbh", "triviaqa", "says"]

_BENCHMARKS: Mapping[Reader, str] = {
    "letters": "mmlu",
    "number": "gsm8k",
    "bbh": "bbh",
    "triviaqa": "triviaqa",
}


def _unicode(text: str) -> str:
    if not can_be_encoded(text):
        raise ValueError("has half of a surrogate pair, which is no character")
    return text


def _not_blank(text: str) -> str:
    if is_blank(text):
        raise ValueError("is blank, so no answer could match it")
    return text


def _as_tuple(value: object) -> object:
    if not isinstance(value, (str, list, tuple)):
        raise ValueError("has to be a text or a list of texts")
    return (value,) if isinstance(value, str) else value


Text = Annotated[StrictStr, AfterValidator(_unicode)]
Wanted = Annotated[Text, AfterValidator(_not_blank)]
"""A text that an answer is compared with."""


class AnswerToRead(BaseModel):
    """A generated text, and how to read it.

    Args:
        reader: `letters` (as for MMLU and CommonsenseQA), `number` (GSM8K), `bbh`, `triviaqa`, or `says`
            (whether the text begins by saying an edit's target).
        reading: `strict` or `lenient`; `says` has one reading.
        text: The generated text.
        choices: For `letters`, the choices that were shown.
        gold: The right answer, or several; for `letters`, the letter.
        target: For `says`, the text to be said.
        end_of_thinking: The mark at which the model stops thinking.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    reader: Reader
    reading: Literal["strict", "lenient"] = "lenient"
    text: Text
    choices: Annotated[tuple[Text, ...], Field(max_length=26)] = ()
    gold: Annotated[tuple[Wanted, ...], Field(min_length=1), BeforeValidator(_as_tuple)] | None = None
    target: Wanted | None = None
    end_of_thinking: Wanted = END_OF_THINKING

    @model_validator(mode="after")
    def _whole(self) -> AnswerToRead:
        if self.reader == "letters" and not self.choices:
            raise ValueError("the field 'choices' is missing, which the reader letters needs")
        if self.reader == "says" and self.target is None:
            raise ValueError("the field 'target' is missing, which the reader says needs")
        if self.reader == "says" and self.reading == "strict":
            raise ValueError(
                "the field 'reading' is 'strict', and the reader says has one reading; leave it out"
            )
        letters = string.ascii_uppercase[: len(self.choices)]
        for gold in self.gold or ():
            if self.reader == "letters" and (len(gold) != 1 or gold not in letters):
                raise ValueError(f"the field 'gold' is {gold!r}, and the letters are {', '.join(letters)}")
            if self.reader == "number" and not COMPARISONS["number"](gold, [gold]):
                raise ValueError(f"the field 'gold' is {gold!r}, expected a number")
        return self


class ReadAnswer(BaseModel):
    """The answer that a reader found.

    Args:
        extracted: The answer that was found; None if there is none.
        right: Whether it is the right answer; None if that was not given.
    """

    model_config = ConfigDict(frozen=True)

    extracted: str | None
    right: bool | None


def read_answer(answer: AnswerToRead) -> ReadAnswer:
    """Reads a text as the suites do."""
    if answer.reader == "says":
        target = answer.target or ""
        said = starts_with_answer(answer.text, target, answer.end_of_thinking)
        return ReadAnswer(extracted=target if said else None, right=said)
    benchmark = _BENCHMARKS[answer.reader]
    (file,) = (one for one in task_files() if (one.benchmark, one.protocol) == (benchmark, "generation"))
    parser, targets = file.readings[answer.reading], answer.gold or ()
    verdict = read(answer.text, parser, targets, answer.choices, answer.end_of_thinking)
    return ReadAnswer(extracted=verdict.extracted, right=verdict.right if targets else None)


def answers_to_read(path: Path) -> tuple[AnswerToRead, ...]:
    """Returns the answers in a file with one JSON object per line, in its order.

    Fields with other names than those of `AnswerToRead`, such as `expected`, are the file's own and not
    read, unless they look like a misspelling.

    Raises:
        BadInputError: The file can't be read or has no lines, or a line is wrong; the message names the file,
            the line and the field.
    """
    answers = tuple(_answer(value, f"{path}, line {number}") for number, value in read_json_lines(path))
    if not answers:
        raise BadInputError(f"{path} has no lines.", hint=_EXAMPLE)
    return answers


def _answer(value: object, where: str) -> AnswerToRead:
    if not isinstance(value, dict):
        raise BadInputError(
            f"{where}: expected an object with fields, found {type(value).__name__}.", hint=_EXAMPLE
        )
    fields = list(AnswerToRead.model_fields)
    for name in value.keys() - fields - _OWN_FIELDS:
        if near := near_matches(name, [one for one in fields if one not in value], cutoff=0.75):
            raise BadInputError(f"{where}: the field {name!r} is unknown (did you mean {near[0]!r}?).")
    try:
        return AnswerToRead.model_validate(value)
    except ValidationError as error:
        raise BadInputError(f"{where}: {in_words(error)}.", hint=_EXAMPLE) from error


_OWN_FIELDS = {"expected", "right"}
_EXAMPLE = 'A line looks like this: {"reader": "number", "text": "The answer is 18.", "gold": "18"}'
