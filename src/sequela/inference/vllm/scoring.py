"""Scores as vLLM can give them: which prompts are run, and which log-probabilities are read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sequela.inference.engine import Score, ScoreRequest

Ids = tuple[int, ...]

TOKENS_PER_PROMPT = 128
"""For how many tokens vLLM gives the log-probability after one prompt."""


@dataclass
class PromptQuery:
    """One prompt, what is read of it, and what came back.

    Args:
        wanted: Tokens whose log-probability after the prompt is asked for.
        within: Whether those of the prompt's own tokens are asked for too.
        after: The log-probabilities after the prompt.
        best_after: The most likely token after the prompt.
        inside: For each token of the prompt its log-probability and the most likely token there.
    """

    wanted: set[int] = field(default_factory=set)
    within: bool = False
    after: dict[int, float] = field(default_factory=dict)
    best_after: int | None = None
    inside: list[tuple[float, int | None]] = field(default_factory=list)

    def parts(self) -> list[list[int]]:
        """The wanted tokens, in groups that vLLM accepts."""
        tokens = sorted(self.wanted)
        return [tokens[i : i + TOKENS_PER_PROMPT] for i in range(0, len(tokens), TOKENS_PER_PROMPT)]

    def params(self, part: list[int]) -> Any:
        """VLLM's `SamplingParams` that ask for one group of tokens."""
        from vllm import SamplingParams

        return SamplingParams(
            temperature=0.0,
            max_tokens=1,
            logprobs=len(part),
            logprob_token_ids=part,
            prompt_logprobs=1 if self.within else None,
            detokenize=False,
        )

    def add_output(self, output: Any) -> None:
        """Takes vLLM's `RequestOutput`."""
        sampled = output.outputs[0]
        self.best_after = sampled.token_ids[0]
        self.after.update({token: found.logprob for token, found in sampled.logprobs[0].items()})
        if self.within:
            self.inside = [
                _of_prompt_token(token, found)
                for token, found in zip(output.prompt_token_ids, output.prompt_logprobs, strict=True)
            ]

    def of(self, position: int, token: int, length: int) -> tuple[float, bool]:
        """Log-probability of the token at a position, and whether it was the most likely one.

        Args:
            position: Where in the sequence; `length` is right behind the prompt.
            token: The token.
            length: How long the prompt is.
        """
        if position == length:
            return self.after[token], token == self.best_after
        logprob, best = self.inside[position]
        return logprob, token == best


def plan_queries(requests: Sequence[ScoreRequest], block_size: int) -> dict[Ids, PromptQuery]:
    """The prompts to be run for some requests, with what is to be read of them.

    Each token of a continuation is read as the next token after all before it: such prompts find all
    that they share in vLLM's prefix cache. vLLM's other way, log-probabilities of the prompt's own
    tokens, never reads that cache; it is taken where it computes fewer tokens all the same, as
    for a long continuation of a short context.

    Args:
        requests: What is asked.
        block_size: Tokens per block of the cache; only whole blocks are found in it.
    """
    queries: dict[Ids, PromptQuery] = {}
    for request in requests:
        row = request.context + request.continuation[:-1]
        if _one_pass_is_less(request, block_size):
            query = queries.setdefault(row, PromptQuery())
            query.wanted.add(request.continuation[-1])
            query.within = True
        else:
            for length, token in enumerate(request.continuation, len(request.context)):
                queries.setdefault(row[:length], PromptQuery()).wanted.add(token)
    return queries


def assemble(request: ScoreRequest, queries: dict[Ids, PromptQuery]) -> Score:
    """The score of a request, from the readings that were planned for it."""
    row = request.context + request.continuation[:-1]
    found: list[tuple[float, bool]] = []
    for position, token in enumerate(request.continuation, len(request.context)):
        query, length = queries[row], len(row)
        if not query.within:
            query, length = queries[row[:position]], position
        found.append(query.of(position, token, length))
    return Score(
        token_logprobs=tuple(logprob for logprob, _ in found),
        token_greedy=tuple(greedy for _, greedy in found),
        finite=all(math.isfinite(logprob) for logprob, _ in found),
    )


def _one_pass_is_less(request: ScoreRequest, block_size: int) -> bool:
    if len(request.continuation) == 1:
        return False
    lengths = range(len(request.context), len(request.context) + len(request.continuation))
    return lengths[-1] < sum((length - 1) % block_size + 1 for length in lengths)


def _of_prompt_token(token: int, found: Any) -> tuple[float, int | None]:
    """The first token has nothing before it; among numbers that are none no token is the best."""
    if found is None:
        return math.nan, None
    return found[token].logprob, next((t for t, entry in found.items() if entry.rank == 1), None)
