"""Scoring with vLLM: the prompts to run, and the log-probabilities to read from their outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sequela.inference.engine import Score, ScoreRequest

Ids = tuple[int, ...]

TOKENS_PER_PROMPT = 128
"""The maximum number of tokens whose log-probability after a prompt is requested at once."""


@dataclass
class PromptQuery:
    """The log-probabilities to read for one prompt, and those that were read.

    Args:
        wanted: The tokens whose log-probability after the prompt is needed.
        within: True if the log-probabilities of the prompt's own tokens are needed too.
        after: The log-probabilities after the prompt.
        best_after: The most likely token after the prompt.
        inside: For each token of the prompt its log-probability and the most likely token at its position.
    """

    wanted: set[int] = field(default_factory=set)
    within: bool = False
    after: dict[int, float] = field(default_factory=dict)
    best_after: int | None = None
    inside: list[tuple[float, int | None]] = field(default_factory=list)

    def parts(self) -> list[list[int]]:
        """Returns the wanted tokens in groups of a size that vLLM accepts."""
        tokens = sorted(self.wanted)
        return [tokens[i : i + TOKENS_PER_PROMPT] for i in range(0, len(tokens), TOKENS_PER_PROMPT)]

    def params(self, part: list[int]) -> Any:
        """Returns vLLM's `SamplingParams` that request one group of tokens."""
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
        """Stores the log-probabilities of vLLM's `RequestOutput`."""
        sampled = output.outputs[0]
        self.best_after = sampled.token_ids[0]
        self.after.update({token: found.logprob for token, found in sampled.logprobs[0].items()})
        if self.within:
            self.inside = [
                _of_prompt_token(token, found)
                for token, found in zip(output.prompt_token_ids, output.prompt_logprobs, strict=True)
            ]

    def of(self, position: int, token: int, length: int) -> tuple[float, bool]:
        """Returns the log-probability of the token at a position, and whether it was the most likely one.

        Args:
            position: The position in the sequence; `length` is the first after the prompt.
            token: The token.
            length: The length of the prompt.
        """
        if position == length:
            return self.after[token], token == self.best_after
        logprob, best = self.inside[position]
        return logprob, token == best


def plan_queries(requests: Sequence[ScoreRequest], block_size: int) -> dict[Ids, PromptQuery]:
    """Returns the prompts to run for some requests, with the log-probabilities to read.

    Each token of a continuation is read as the next token after all tokens before it: such prompts find
    everything they share in vLLM's prefix cache. vLLM's alternative, log-probabilities of the prompt's own
    tokens, never reads that cache; it is used if it computes fewer tokens all the same, as for a long
    continuation of a short context.

    Args:
        requests: The requests.
        block_size: The number of tokens per cache block; only whole blocks are found in the cache.
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
    """Returns the score of a request from the outputs of its queries."""
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
    """Returns a prompt token's log-probability and the most likely token at its position.

    The first token has no log-probability, and among logits that are not finite no token is the most likely.
    """
    if found is None:
        return math.nan, None
    return found[token].logprob, next((t for t, entry in found.items() if entry.rank == 1), None)
