"""Reading of one generated answer by any of the readers, outside of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from sequela.evaluation.answer_reading.thinking import END_OF_THINKING
from sequela.evaluation.edit_quality.answer_matching import starts_with_answer
from sequela.evaluation.lm_eval.answer_extraction import read
from sequela.evaluation.lm_eval.task_file import task_files

Reader = Literal["letters", "number", "bbh", "triviaqa", "says"]

_BENCHMARKS: Mapping[Reader, str] = {
    "letters": "mmlu",
    "number": "gsm8k",
    "bbh": "bbh",
    "triviaqa": "triviaqa",
}


class AnswerToRead(BaseModel):
    """A generated text, and how to read it.

    Args:
        reader: `letters` (as for MMLU and CommonsenseQA), `number` (GSM8K), `bbh`, `triviaqa`, or `says`
            (whether the text begins by saying an edit's target).
        reading: `strict` or `lenient`; `says` has one reading.
        text: The generated text.
        choices: For `letters`, the choices that were shown.
        gold: The right answer, or several.
        target: For `says`, the text to be said.
        end_of_thinking: The mark at which the model stops thinking.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    reader: Reader
    reading: Literal["strict", "lenient"] = "lenient"
    text: str
    choices: tuple[str, ...] = ()
    gold: str | tuple[str, ...] | None = None
    target: str | None = None
    end_of_thinking: str = END_OF_THINKING

    @model_validator(mode="after")
    def _whole(self) -> AnswerToRead:
        if self.reader == "letters" and not self.choices:
            raise ValueError("the reader letters needs choices")
        if self.reader == "says" and self.target is None:
            raise ValueError("the reader says needs a target")
        return self


class ReadAnswer(BaseModel):
    """What a reader found.

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
    gold = (answer.gold,) if isinstance(answer.gold, str) else answer.gold
    verdict = read(
        answer.text, file.readings[answer.reading], gold or (), answer.choices, answer.end_of_thinking
    )
    return ReadAnswer(extracted=verdict.extracted, right=None if gold is None else verdict.right)
