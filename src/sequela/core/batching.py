"""Batches within a budget of tokens, halved when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from sequela.core.errors import SequelaError

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


def by_token_budget(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Groups row numbers so that rows times the longest row stays within a budget of tokens.

    Rows of like length come together, longest first, so a batch that doesn't fit in memory
    shows at once. A single row longer than the budget is a group of its own.

    Args:
        lengths: Tokens per row.
        budget: The most tokens, padding included, in one group.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    group: list[int] = []
    for i in order:
        if group and (len(group) + 1) * lengths[group[0]] > budget:
            yield group
            group = []
        group.append(i)
    if group:
        yield group


def retry_on_oom(tokens: int, attempt: Callable[[int], Answer]) -> Answer:
    """Tries with so many tokens and, whenever memory doesn't suffice, with half as many.

    Raises:
        SequelaError: Not even one token fits.
    """
    while True:
        try:
            return attempt(tokens)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if tokens == 1:
                raise SequelaError(
                    "The memory doesn't suffice for a single token of this request.",
                    hint="Free memory, or use a smaller model or bfloat16.",
                ) from error
        tokens //= 2
        logger.warning("Out of memory: trying again with %d tokens at once.", tokens)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def in_groups(
    lengths: Sequence[int], tokens: int, work: Callable[[list[int]], Sequence[Answer]]
) -> list[Answer]:
    """Works on rows side by side, so many tokens at once or, where memory doesn't suffice, fewer.

    Args:
        lengths: Tokens of each row.
        tokens: How many at once, padding included.
        work: Is given the numbers of some rows and gives their answers in that order; what it has
            answered is not asked again.

    Raises:
        SequelaError: Not even one token fits.
    """
    found: dict[int, Answer] = {}

    def attempt(at_once: int) -> None:
        left = [row for row in range(len(lengths)) if row not in found]
        for places in by_token_budget([lengths[row] for row in left], at_once):
            group = [left[place] for place in places]
            found.update(zip(group, work(group), strict=True))

    retry_on_oom(tokens, attempt)
    return [found[row] for row in range(len(lengths))]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory, of the processor or of an accelerator, didn't suffice."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error):
        return True
    # All that oneDNN says when it can't have the memory for its code or its scratch space.
    return str(error) in ("could not create a primitive", "could not execute a primitive")
