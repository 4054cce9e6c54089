"""Multiple choice by likelihood: the answer is the most likely of several continuations.

The rule is the same for every item. A choice's score is the sum of the log-probabilities of its
tokens after the prompt and one space. The model's answer is the choice with the highest score. It
has answered only if every score is finite and the highest is unique. An item without an answer is
wrong, so that the order of the choices can't help a destroyed model. An item with a choice that
doesn't fit the model's context has no answer either and is counted separately.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sequela.core.errors import BadInputError
from sequela.core.progress import SILENT, Progress
from sequela.core.text_files import read_json_lines
from sequela.core.validation import in_words
from sequela.evaluation.answer_status import all_finite, longest_too_long
from sequela.results import (
    AnswerDistribution,
    ItemRecord,
    TaskResult,
    most_frequent,
    result_from_items,
    with_score,
)
from sequela.results.metrics import ACCURACY

if TYPE_CHECKING:
    from sequela.edited import EditedModel
    from sequela.inference import Engine, Score

SCORING_RULE = "sum of token log-probabilities; non-finite or tied is wrong; v1"
"""Part of every version hash; its version is raised when the same scores get another verdict."""

SHORTEST = "the shortest choice"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

METRIC = ACCURACY.name
PROTOCOL = "loglikelihood"


class MultipleChoiceItem(BaseModel):
    """One question.

    Args:
        id: The name of the item within its task.
        prompt: The text to be continued.
        choices: At least two continuations, without the space before them.
        answer: The index of the right choice, from 0.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1)
    prompt: str = Field(min_length=1)
    choices: tuple[str, ...] = Field(min_length=2)
    answer: int = Field(ge=0)

    @model_validator(mode="after")
    def _check(self) -> MultipleChoiceItem:
        if len(set(self.choices)) < len(self.choices) or not all(choice.strip() for choice in self.choices):
            raise ValueError("two choices are the same, or one is empty")
        if self.answer >= len(self.choices):
            raise ValueError(f"the answer is {self.answer}, but the last choice is {len(self.choices) - 1}")
        return self

    @property
    def expected(self) -> str:
        """The right choice."""
        return self.choices[self.answer]


def read_items(path: Path) -> tuple[MultipleChoiceItem, ...]:
    """Reads a file with one item per line, as JSON.

    Raises:
        BadInputError: A line is not an item, or two items have the same id.
    """
    items: list[MultipleChoiceItem] = []
    for number, value in read_json_lines(path):
        try:
            items.append(MultipleChoiceItem.model_validate(value))
        except ValidationError as error:
            wrong = in_words(error, allowed=list(MultipleChoiceItem.model_fields))
            raise BadInputError(
                f"{path.name}, line {number}: {wrong}.",
                hint='Expected: {"id": …, "prompt": …, "choices": […, …], "answer": 0}.',
            ) from error
    ids = [item.id for item in items]
    if repeated := sorted({name for name in ids if ids.count(name) > 1}):
        raise BadInputError(f"{path.name}: the id {repeated[0]!r} is used more than once.")
    return tuple(items)


def chance_level(items: Sequence[MultipleChoiceItem]) -> float:
    """Returns the expected accuracy of guessing: the mean of `1 / number of choices` over the items."""
    return math.fsum(1 / len(item.choices) for item in items) / len(items)


def choose(scores: Sequence[float]) -> int | None:
    """Returns the index of the highest score; None if a score is not finite or the highest is not unique."""
    if not all(math.isfinite(score) for score in scores):
        return None
    best = max(scores)
    return scores.index(best) if scores.count(best) == 1 else None


def score_choices(
    model: EditedModel, engine: Engine, items: Sequence[MultipleChoiceItem], progress: Progress = SILENT
) -> list[tuple[Score, ...]]:
    """Scores every choice of every item."""
    from sequela.inference import score_request  # imports PyTorch, which listing the suites doesn't need

    requests = [score_request(model, item.prompt, choice) for item in items for choice in item.choices]
    scores = iter(engine.score(model, requests, progress))
    return [tuple(next(scores) for _ in item.choices) for item in items]


def score_item(suite: str, task: str, item: MultipleChoiceItem, scores: Sequence[Score]) -> ItemRecord:
    """Returns the record of an item: 1 if the right choice was chosen, else 0.

    Its details contain every choice with its log-probability (None where it is not finite), the indices of
    the right and the chosen one, whether the best choices were tied, and the margin: the right choice's score
    minus the best wrong one's.
    """
    logprobs = [score.logprob for score in scores]
    chosen = choose(logprobs)
    known = all(score.finite for score in scores)
    best_wrong = max(logprob for number, logprob in enumerate(logprobs) if number != item.answer)
    return ItemRecord(
        suite=suite,
        task=task,
        metric=METRIC,
        protocol=PROTOCOL,
        item=item.id,
        value=float(chosen == item.answer),
        finite=all_finite(scores),
        too_long=longest_too_long(scores),
        prompt=item.prompt,
        answer="" if chosen is None else item.choices[chosen],
        expected=item.expected,
        details={
            "choices": list(item.choices),
            "right": item.answer,
            "chosen": chosen,
            "logprobs": [score.logprob if score.finite else None for score in scores],
            "margin": logprobs[item.answer] - best_wrong if known else None,
            "tie": known and chosen is None,
        },
    )


def choice_distribution(
    records: Sequence[ItemRecord], chance: float | None, scored: Sequence[ItemRecord] | None = None
) -> AnswerDistribution:
    """Returns the distribution of the answers to multiple-choice items, over those that were answered.

    An answer is named by its text if all items have the same choices, else by its letter.

    Args:
        records: The items, with the choices and the chosen one in their details.
        chance: The expected score of guessing; None for that of the items' numbers of choices.
        scored: The items of the score, if it isn't that of `records`.
    """
    scored = records if scored is None else scored
    asked = [record for record in records if record.answered]
    if not asked:
        return with_score(AnswerDistribution(chance=chance), scored)
    same = len({tuple(record.details["choices"]) for record in asked}) == 1
    names = asked[0].details["choices"] if same else LETTERS

    def name(index: int | None) -> str:
        if index is None:
            return ""
        return names[index] if index < len(names) else f"choice {index + 1}"

    right = [name(record.details["right"]) for record in asked]
    constants = {answer: right.count(answer) / len(right) for answer in sorted(set(right))}
    if not same:
        shortest = [min(record.details["choices"], key=len) == record.expected for record in asked]
        constants[SHORTEST] = sum(shortest) / len(shortest)
    guessed = math.fsum(1 / len(record.details["choices"]) for record in asked) / len(asked)
    form = AnswerDistribution(
        chance=guessed if chance is None else chance,
        constants=constants,
        answers=most_frequent(name(record.details["chosen"]) for record in asked),
        n_ties=sum(record.details["tie"] for record in asked),
    )
    chosen = [name(record.details["chosen"]) if record.answered else "" for record in records]
    return with_score(form, scored, chosen)


def accuracy_result(records: Sequence[ItemRecord], note: str = "") -> TaskResult:
    """Returns the accuracy over the records of one task; its note reports ties, if there were any."""
    ties = sum(bool(record.details["tie"]) for record in records)
    if ties:
        tie_note = f"items with a tie for the best choice, counted as wrong: {ties}"
        note = f"{note}; {tie_note}" if note else tie_note
    return result_from_items(records, note).model_copy(update={"form": choice_distribution(records, None)})
