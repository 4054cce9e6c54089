"""What the answers behind a score look like, whatever they are worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

SHOWN_ANSWERS = 12
"""So many of the most frequent answers are kept by name."""

NO_ANSWER = ""
"""The name of not having answered."""


class AnswerDistribution(BaseModel):
    """The form of the answers behind one score.

    Args:
        chance: The expected score of guessing; None where there is nothing to guess from.
        constants: What always giving one and the same answer would score, by answer.
        answers: How often the most frequent answers were given; empty text stands for no answer.
        n_ties: Items whose best choices were equally likely.
        n_empty: Written answers with nothing in them; None where answers are not written.
        n_unread: Written answers in which no answer was found, the empty ones among them; None where answers
            are not written.
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
        """The most frequent answer, and how often it was given."""
        return max(self.answers.items(), key=lambda pair: pair[1], default=(NO_ANSWER, 0))


def most_frequent(answers: Iterable[str]) -> dict[str, int]:
    """The most frequent answers with their counts, the most frequent first; ties in alphabetical order."""
    counted = sorted(Counter(answers).items(), key=lambda pair: (-pair[1], pair[0]))
    return dict(counted[:SHOWN_ANSWERS])
