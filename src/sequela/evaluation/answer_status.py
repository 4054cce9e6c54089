"""What keeps an answer from counting: logits that are not numbers, requests too long, mistakes in rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sequela.inference import Generation, Score


def all_finite(answers: Iterable[Score | Generation]) -> bool:
    """Whether every logit behind the answers was a number; refused requests have none."""
    return all(answer.finite or answer.too_long is not None for answer in answers)


def longest_too_long(answers: Iterable[Score | Generation]) -> int | None:
    """The tokens of the longest request that was refused; None if none was."""
    return max((answer.too_long for answer in answers if answer.too_long is not None), default=None)


def format_error(error: Exception) -> str:
    """An item's mistake in one line, for its record."""
    return " ".join(f"{type(error).__name__}: {error}".split())
