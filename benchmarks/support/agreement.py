"""Agreement of the answers of two scorers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from support.workloads import ScoringWorkload


@dataclass(frozen=True)
class ItemAgreement:
    """One question, answered twice.

    Args:
        item: The question's id.
        answers: The most likely choice according to each scorer.
        difference: The largest difference of a choice's log-probability.
        margin: The difference between the two most likely choices, according to the second scorer.
    """

    item: str
    answers: tuple[int, int]
    difference: float
    margin: float


@dataclass(frozen=True)
class Agreement:
    """All questions, answered twice.

    Args:
        items: The questions, in the workload's order.
    """

    items: tuple[ItemAgreement, ...]

    @property
    def n_differing(self) -> int:
        """The number of questions with different answers."""
        return sum(first != second for first, second in (item.answers for item in self.items))

    @property
    def max_difference(self) -> float:
        """The largest difference of a log-probability."""
        return max(item.difference for item in self.items)

    def figures(self) -> dict[str, Any]:
        """Returns the figures for the last line of output."""
        return {
            "n_items": len(self.items),
            "n_differing": self.n_differing,
            "max_logprob_difference": self.max_difference,
        }

    def details(self) -> list[dict[str, Any]]:
        """Returns an entry for every question, for the results file."""
        return [
            {
                "item": item.item,
                "answers": list(item.answers),
                "difference": item.difference,
                "margin": item.margin,
            }
            for item in self.items
        ]


def compare(work: ScoringWorkload, first: Sequence[float], second: Sequence[float]) -> Agreement:
    """Compares the log-probabilities of a workload's choices, question by question."""
    items = []
    for question, ours, theirs in zip(
        work.questions, work.by_question(first), work.by_question(second), strict=True
    ):
        ordered = sorted(theirs, reverse=True)
        items.append(
            ItemAgreement(
                item=question.id,
                answers=(_most_likely(ours), _most_likely(theirs)),
                difference=max(abs(a - b) for a, b in zip(ours, theirs, strict=True)),
                margin=ordered[0] - ordered[1] if len(ordered) > 1 else 0.0,
            )
        )
    return Agreement(tuple(items))


def _most_likely(logprobs: Sequence[float]) -> int:
    return max(range(len(logprobs)), key=lambda i: logprobs[i])
