"""What keeps a model from answering: a logit that is not a number, a request longer than its context."""

from __future__ import annotations

from collections.abc import Iterable

from sequela.inference import Generation, Score


def all_finite(answers: Iterable[Score | Generation]) -> bool:
    """Whether every logit behind the answers was a number; refused requests have none."""
    return all(answer.finite or answer.refused is not None for answer in answers)


def longest_refused(answers: Iterable[Score | Generation]) -> int | None:
    """The tokens of the longest request that was refused; None if none was."""
    return max((answer.refused for answer in answers if answer.refused is not None), default=None)
