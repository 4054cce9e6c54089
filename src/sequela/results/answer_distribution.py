"""The distribution of the answers behind a score, independent of their correctness."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict, Field

from sequela.core.hashing import hash_json
from sequela.results.item_record import ItemRecord
from sequela.results.standard_error import mean_and_stderr

SHOWN_ANSWERS = 12
"""The number of most frequent answers that are stored."""

NO_ANSWER = ""
"""The key that stands for no answer."""


class AnswerPattern(BaseModel):
    """The answers item by item, in a form that can be compared with another model's.

    Args:
        fingerprint: A hash of the name, the answer and the value of every answered item.
        log10_chance: The decimal logarithm of the probability that a model with as many right answers, and
            as many of each wrong answer, has them on the same items by chance.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    log10_chance: float


class AnswerDistribution(BaseModel):
    """The distribution of the answers behind one score.

    It covers the items that were answered. Items that were too long or failed are counted in the result and
    are not part of the distribution, since the model was not asked.

    Args:
        chance: The expected score of guessing; None if the task has no choices to guess from.
        constants: The score of always giving the same answer, by answer.
        answers: The counts of the most frequent answers; the empty string stands for no answer.
        accepted: The answers that may be given to all items of a healthy model, such as one refusal to all
            harmful requests.
        n_ties: The number of items whose best choices were equally likely.
        n_empty: The number of empty generated answers; None if answers are not generated.
        n_unread: The number of unparsed generated answers, including empty ones; None if answers are not
            generated.
        n: The number of answered items; None in results of schema 5 or earlier, which cover all items.
        score: The score over the answered items; None if there are none, or in such results.
        stderr: The standard error of that score.
        pattern: The answers item by item; None in such results, or if there are no answers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    chance: float | None = None
    constants: dict[str, float] = Field(default_factory=dict)
    answers: dict[str, int] = Field(default_factory=dict)
    accepted: tuple[str, ...] = ()
    n_ties: int = Field(default=0, ge=0)
    n_empty: int | None = Field(default=None, ge=0)
    n_unread: int | None = Field(default=None, ge=0)
    n: int | None = Field(default=None, ge=0)
    score: float | None = None
    stderr: float | None = None
    pattern: AnswerPattern | None = None

    @property
    def top(self) -> tuple[str, int]:
        """The most frequent answer and its count."""
        return max(self.answers.items(), key=lambda pair: pair[1], default=(NO_ANSWER, 0))


def most_frequent(answers: Iterable[str]) -> dict[str, int]:
    """Returns the most frequent answers with their counts in descending order; ties are ordered by answer."""
    counted = sorted(Counter(answers).items(), key=lambda pair: (-pair[1], pair[0]))
    return dict(counted[:SHOWN_ANSWERS])


def with_score(
    form: AnswerDistribution, items: Sequence[ItemRecord], answers: Sequence[str] | None = None
) -> AnswerDistribution:
    """Returns a distribution with the mean of the answered items, and with their pattern.

    Args:
        form: The distribution over the answered items.
        items: All items of the score.
        answers: The answer to each of the items, if they are known.
    """
    counted = [i for i, item in enumerate(items) if item.answered]
    score, stderr = mean_and_stderr([items[i].value for i in counted])
    pattern = None
    if answers is not None and counted:
        pattern = answer_pattern([items[i] for i in counted], [answers[i] for i in counted])
    return form.model_copy(update={"n": len(counted), "score": score, "stderr": stderr, "pattern": pattern})


def answer_pattern(items: Sequence[ItemRecord], answers: Sequence[str]) -> AnswerPattern:
    """Returns the pattern of the answers to items.

    The number of ways to place the right answers and each wrong answer on the items is a multinomial
    coefficient. Right answers count as one kind, because two models may be right for the same good reason.

    Args:
        items: The items.
        answers: The answer to each.
    """
    kinds = Counter(
        NO_ANSWER if item.value >= 1 else f"wrong: {a}" for item, a in zip(items, answers, strict=True)
    )
    ways = math.lgamma(len(items) + 1) - math.fsum(math.lgamma(n + 1) for n in kinds.values())
    rows = sorted([item.item, answer, item.value] for item, answer in zip(items, answers, strict=True))
    return AnswerPattern(fingerprint=hash_json(rows), log10_chance=-ways / math.log(10))
