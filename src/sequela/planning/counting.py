"""An engine that runs nothing: it counts the tokens of what it is asked, with the model's own tokenizer.

Suites and the measurement of edits make their requests as they do in a run, so the counts are those of the
run, except for the number of generated tokens, which only the model knows: here it is the most there can be.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sequela.core.progress import Progress
from sequela.edited import EditedModel
from sequela.inference import BaseEngine, Generation, GenerationRequest, Score, ScoreRequest
from sequela.inference.torch.prefixes import group_by_prefix
from sequela.inference.torch.trie import Trie

SAMPLED = 16
"""The number of generation requests that are kept, to be run when a machine is measured."""


@dataclass(frozen=True)
class ScoringCall:
    """One call of an engine's `score`.

    Args:
        n_requests: The number of requests.
        tokens: The number of tokens that go through the model; those of common beginnings count once.
        positions: The number of tokens whose probability is computed.
        length: The mean number of tokens of a request.
    """

    n_requests: int
    tokens: float
    positions: float
    length: float


@dataclass(frozen=True)
class GeneratingCall:
    """One call of an engine's `generate`.

    Args:
        prompt_tokens: The number of tokens of the prompts; those of common beginnings count once.
        length: The mean number of tokens of a prompt.
        most: The maximum number of tokens to generate, for each request.
        sample: Some of the requests.
    """

    prompt_tokens: float
    length: float
    most: tuple[int, ...]
    sample: tuple[GenerationRequest, ...] = ()


Call = ScoringCall | GeneratingCall


class CountingEngine(BaseEngine):
    """Counts what it is asked and answers with placeholders.

    Args:
        tokens_of: The number of tokens of the model's tokenizer for one of the tokenizer at hand; below 1 if
            another one stands in for it.
    """

    def __init__(self, tokens_of: float = 1.0) -> None:
        self._tokens_of = tokens_of
        self.calls: list[Call] = []
        self.seconds = 0.0
        """The time that was spent here, and so not by those who ask."""

    def _score(self, model: EditedModel, requests: list[ScoreRequest], progress: Progress) -> list[Score]:
        started = time.perf_counter()
        trie = Trie.of([request.context + request.continuation[:-1] for request in requests])
        asked = {
            node
            for leaf, request in zip(trie.leaves.tolist(), requests, strict=True)
            for node in trie.path(leaf, len(request.continuation)).tolist()
        }
        self.calls.append(
            ScoringCall(
                n_requests=len(requests),
                tokens=len(trie) * self._tokens_of,
                positions=len(asked) * self._tokens_of,
                length=self._mean([request.length for request in requests]),
            )
        )
        scores = [
            Score((-1.0,) * len(request.continuation), (False,) * len(request.continuation), finite=True)
            for request in requests
        ]
        self.seconds += time.perf_counter() - started
        return scores

    def _generate(
        self, model: EditedModel, requests: list[GenerationRequest], progress: Progress
    ) -> list[Generation]:
        started = time.perf_counter()
        prompts = [request.prompt for request in requests]
        read = sum(len(prompt) for prompt in prompts)
        for group in group_by_prefix(prompts):
            read -= (len(group.members) - 1) * len(group.prefix)
        step = max(1, len(requests) // SAMPLED)
        self.calls.append(
            GeneratingCall(
                prompt_tokens=read * self._tokens_of,
                length=self._mean([len(prompt) for prompt in prompts]),
                most=tuple(request.max_tokens for request in requests),
                sample=tuple(requests[::step][:SAMPLED]),
            )
        )
        self.seconds += time.perf_counter() - started
        return [Generation(text="", ids=(), ended_by="length", finite=True) for _ in requests]

    def _mean(self, lengths: Sequence[int]) -> float:
        return sum(lengths) / len(lengths) * self._tokens_of
