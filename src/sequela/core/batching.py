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
    """Groups row indices so that the rows of a group, padded to the longest, stay within a budget of tokens.

    Rows of similar length are grouped, longest first, so that a batch that doesn't fit in memory fails
    at once. A single row longer than the budget is a group of its own.

    Args:
        lengths: The number of tokens of each row.
        budget: The maximum number of tokens, padding included, in one group.
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
    """Calls `attempt` with a number of tokens, and again with half as many whenever memory runs out.

    Raises:
        SequelaError: Memory is insufficient for a single token.
    """
    while True:
        try:
            return attempt(tokens)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if tokens == 1:
                raise SequelaError(
                    "There is not enough memory for a single token of this request.",
                    hint="Free memory, or use a smaller model or bfloat16.",
                ) from error
        tokens //= 2
        logger.warning("Out of memory: trying again with %d tokens at once.", tokens)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def in_groups(
    lengths: Sequence[int], tokens: int, work: Callable[[list[int]], Sequence[Answer]]
) -> list[Answer]:
    """Processes rows in batches of a number of tokens, with fewer whenever memory runs out.

    Args:
        lengths: The number of tokens of each row.
        tokens: The maximum number of tokens at once, padding included.
        work: Takes the indices of some rows and returns their answers in that order; answered rows are not
            processed again.

    Returns:
        One answer per row, in order.

    Raises:
        SequelaError: Memory is insufficient for a single token.
    """
    answers: dict[int, Answer] = {}

    def attempt(at_once: int) -> None:
        remaining = [row for row in range(len(lengths)) if row not in answers]
        for indices in by_token_budget([lengths[row] for row in remaining], at_once):
            group = [remaining[index] for index in indices]
            answers.update(zip(group, work(group), strict=True))

    retry_on_oom(tokens, attempt)
    return [answers[row] for row in range(len(lengths))]


def is_out_of_memory(error: BaseException) -> bool:
    """Returns whether an error means that memory ran out, on the CPU or an accelerator."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error):
        return True
    # oneDNN's only messages if it can't allocate memory for its code or its scratch space.
    return str(error) in ("could not create a primitive", "could not execute a primitive")
