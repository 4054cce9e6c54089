"""Reasons why an answer doesn't count: non-finite logits, requests that are too long, errors in rules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sequela.inference import Generation, Score


def all_finite(answers: Iterable[Score | Generation]) -> bool:
    """Returns whether all logits of the answers were finite; requests that were too long have none."""
    return all(answer.finite or answer.too_long is not None for answer in answers)


def longest_too_long(answers: Iterable[Score | Generation]) -> int | None:
    """Returns the length in tokens of the longest request that was too long; None if none was."""
    return max((answer.too_long for answer in answers if answer.too_long is not None), default=None)


def longest_unfinished(answers: Iterable[Generation]) -> int | None:
    """Returns the length in tokens of the longest text whose thinking didn't end; None if there is none."""
    lengths = (answer.unfinished_thinking for answer in answers)
    return max((length for length in lengths if length is not None), default=None)


def format_error(error: Exception) -> str:
    """Formats an item's error as one line, for its record."""
    return " ".join(f"{type(error).__name__}: {error}".split())
