"""The base class of engines: routes requests, rejects those that are too long, and merges hits."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.inference.engine import Generation, GenerationRequest, Score, ScoreRequest

Request = TypeVar("Request", ScoreRequest, GenerationRequest)
Answer = TypeVar("Answer", Score, Generation)

logger = logging.getLogger(__name__)

_SHOWN = 60
"""The number of characters of a prompt's end that a message repeats."""

_ENDING = 32
"""The number of last tokens that identify a prompt, whatever examples a router puts before it."""


class BaseEngine(ABC):
    """An `Engine` that sends each request to the model that its route names.

    Subclasses implement `_score` and `_generate`. Both are called once per model, with the requests that the
    model answers; none of these is longer than its context.
    """

    def score(
        self, model: EditedModel, requests: Sequence[ScoreRequest], progress: Progress = SILENT
    ) -> list[Score]:
        """Scores continuations.

        Args:
            model: The model. It answers the requests whose route names no other model.
            requests: The requests.
            progress: Receives progress reports.

        Returns:
            One score per request, in the same order.

        Raises:
            SequelaError: The engine can't run the edits.
        """
        scores = [Score.for_too_long(request) for request in requests]  # unless replaced below
        for answerer, indices in self._group_by_model(model, requests):
            group = self._score(answerer, [requests[index] for index in indices], progress)
            for index, score in zip(indices, group, strict=True):
                scores[index] = score
        return _merge_hits(scores, requests)

    def generate(
        self, model: EditedModel, requests: Sequence[GenerationRequest], progress: Progress = SILENT
    ) -> list[Generation]:
        """Continues prompts greedily.

        Args:
            model: The model. It answers the requests whose route names no other model.
            requests: The requests.
            progress: Receives progress reports.

        Returns:
            One generation per request, in the same order.

        Raises:
            SequelaError: The engine can't run the edits.
        """
        generations = [Generation.for_too_long(request) for request in requests]  # unless replaced below
        for answerer, indices in self._group_by_model(model, requests):
            group = self._generate(answerer, [requests[index] for index in indices], progress)
            for index, generation in zip(indices, group, strict=True):
                generations[index] = generation
        return _merge_hits(generations, requests)

    @abstractmethod
    def _score(self, model: EditedModel, requests: list[ScoreRequest], progress: Progress) -> list[Score]:
        """Scores requests that `model` answers, at least one, all within its context."""

    @abstractmethod
    def _generate(
        self, model: EditedModel, requests: list[GenerationRequest], progress: Progress
    ) -> list[Generation]:
        """Continues the prompts of requests that `model` answers, at least one, all within its context."""

    def _context_limit(self, model: EditedModel) -> int:
        """Returns the maximum number of tokens in a request to `model`."""
        return model.base.context_length

    def _check_model(self, model: EditedModel) -> None:  # noqa: B027 (overriding it is optional)
        """Raises a `SequelaError` if the engine can't run `model`. The default accepts every model."""

    def _group_by_model(
        self, model: EditedModel, requests: Sequence[Request]
    ) -> Iterator[tuple[EditedModel, list[int]]]:
        """Yields each model that answers requests, with the indices of those that fit its context."""
        groups: dict[int, tuple[EditedModel, list[int]]] = {}
        for index, request in enumerate(requests):
            answerer = request.route.answerer or model
            groups.setdefault(id(answerer), (answerer, []))[1].append(index)
        for answerer, indices in groups.values():
            self._check_model(answerer)
            limit = self._context_limit(answerer)
            fitting = [index for index in indices if requests[index].length <= limit]
            if self._are_news(requests[index] for index in indices if requests[index].length > limit):
                logger.warning(
                    "%d of %d requests are longer than the context of %s (%d tokens; the longest has %d) "
                    "and are rejected; the first %s.",
                    len(indices) - len(fitting),
                    len(indices),
                    answerer.base.name,
                    limit,
                    max(requests[index].length for index in indices),
                    _named(
                        next(requests[index] for index in indices if requests[index].length > limit), answerer
                    ),
                )
            if fitting:
                yield answerer, fitting

    @cached_property
    def _reported(self) -> set[tuple[int, ...]]:
        """The endings of the prompts that were reported as too long."""
        return set()

    def _are_news(self, too_long: Iterable[ScoreRequest | GenerationRequest]) -> bool:
        """Returns whether one of the requests asks what no request that was reported as too long asked.

        The same prompts are asked at every checkpoint, generated and scored, and each result counts them.
        """
        prompts = (one.context if isinstance(one, ScoreRequest) else one.prompt for one in too_long)
        endings = {prompt[-_ENDING:] for prompt in prompts}
        news = not endings <= self._reported
        self._reported.update(endings)
        return news


def _named(request: ScoreRequest | GenerationRequest, model: EditedModel) -> str:
    """Returns what a request is of or, if that is unknown, how its text ends, as the end of a sentence."""
    if request.of:
        return f"is of {request.of}"
    ids = (*request.context, *request.continuation) if isinstance(request, ScoreRequest) else request.prompt
    ending = " ".join(model.base.tokenizer.decode(ids[-_ENDING:]).split())
    return f"ends with {ending[-_SHOWN:]!r}"


def _merge_hits(answers: Sequence[Answer], requests: Sequence[Request]) -> list[Answer]:
    """Returns the answers, marked as a hit if a router or an intervention found an edit that applies."""
    return [
        answer if request.route.hit is None else replace(answer, hit=request.route.hit or bool(answer.hit))
        for answer, request in zip(answers, requests, strict=True)
    ]
