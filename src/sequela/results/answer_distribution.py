"""The distribution of the answers behind a score, independent of their correctness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

SHOWN_ANSWERS = 12
"""The number of most frequent answers that are stored."""

NO_ANSWER = ""
"""The key that stands for no answer."""


class AnswerDistribution(BaseModel):
    """The distribution of the answers behind one score.

    Args:
        chance: The expected score of guessing; None if the task has no choices to guess from.
        constants: The score of always giving the same answer, by answer.
        answers: The counts of the most frequent answers; the empty string stands for no answer.
        n_ties: The number of items whose best choices were equally likely.
        n_empty: The number of empty generated answers; None if answers are not generated.
        n_unread: The number of unparsed generated answers, including empty ones; None if answers are not
            generated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    chance: float | None = None
    constants: dict[str, float] = Field(default_factory=dict)
    answers: dict[str, int] = Field(default_factory=dict)
    n_ties: int = Field(default=0, ge=0)
    n_empty: int | None = Field(default=None, ge=0)
    n_unread: int | None = Field(default=None, ge=0)

    @property
    def top(self) -> tuple[str, int]:
        """The most frequent answer and its count."""
        return max(self.answers.items(), key=lambda pair: pair[1], default=(NO_ANSWER, 0))


def most_frequent(answers: Iterable[str]) -> dict[str, int]:
    """Returns the most frequent answers with their counts in descending order; ties are ordered by answer."""
    counted = sorted(Counter(answers).items(), key=lambda pair: (-pair[1], pair[0]))
    return dict(counted[:SHOWN_ANSWERS])
