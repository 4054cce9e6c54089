"""Requests that are longer than what a model reads are refused one by one, never cut in silence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from sequela.inference.engine import Generation, GenerationRequest, Score, ScoreRequest

Request = TypeVar("Request", ScoreRequest, GenerationRequest)
Answer = TypeVar("Answer", Score, Generation)

logger = logging.getLogger(__name__)


def answer_within_context(
    limit: int,
    name: str,
    requests: Sequence[Request],
    reject: Callable[[Request], Answer],
    answer: Callable[[list[Request]], list[Answer]],
) -> list[Answer]:
    """Answers the requests that fit and refuses the others.

    Args:
        limit: The most tokens that are read.
        name: What the user called the model.
        requests: All the requests.
        reject: Makes the answer to one that is too long.
        answer: Answers those that fit; not called where none does.
    """
    fitting = [request for request in requests if request.length <= limit]
    if len(fitting) < len(requests):
        logger.warning(
            "%d of %d requests are longer than what %s reads here (%d tokens; the longest has %d): refused.",
            len(requests) - len(fitting),
            len(requests),
            name,
            limit,
            max(request.length for request in requests),
        )
    answers = iter(answer(fitting) if fitting else [])
    return [next(answers) if request.length <= limit else reject(request) for request in requests]
