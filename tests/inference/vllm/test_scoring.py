"""The planned queries give the scores of requests, by either of vLLM's two kinds of log-probabilities."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.inference.engine import Score, ScoreRequest
from sequela.inference.vllm.scoring import TOKENS_PER_PROMPT, PromptQuery, assemble, plan_queries
from support.tiny import tiny_module

MODULE = tiny_module("llama")
TOKENS = st.integers(3, 40)
REQUESTS = st.builds(
    ScoreRequest,
    st.lists(TOKENS, min_size=1, max_size=12).map(tuple),
    st.lists(TOKENS, min_size=1, max_size=6).map(tuple),
)


def logprobs_of(ids: tuple[int, ...]) -> torch.Tensor:
    return MODULE(torch.tensor([ids])).logits[0].detach().log_softmax(-1)


def output_of(prompt: tuple[int, ...], part: list[int], query: PromptQuery) -> Any:
    """Returns an output as vLLM would, computed by the model."""
    logprobs = logprobs_of(prompt)
    best = logprobs.argmax(-1).tolist()

    def entry(position: int, token: int) -> Any:
        rank = int((logprobs[position] >= logprobs[position, token]).sum())
        return SimpleNamespace(logprob=float(logprobs[position, token]), rank=rank)

    inside = [None] + [
        {token: entry(i, token), best[i]: entry(i, best[i])} for i, token in enumerate(prompt[1:])
    ]
    last = len(prompt) - 1
    sampled = SimpleNamespace(
        token_ids=[best[last]], logprobs=[{token: entry(last, token) for token in [best[last], *part]}]
    )
    return SimpleNamespace(
        outputs=[sampled],
        prompt_token_ids=list(prompt),
        prompt_logprobs=inside if query.within else None,
    )


def scores_by_queries(requests: list[ScoreRequest], block_size: int) -> list[Score]:
    queries = plan_queries(requests, block_size)
    for row, query in queries.items():
        for part in query.parts():
            query.add_output(output_of(row, part, query))
    return [assemble(request, queries) for request in requests]


@settings(max_examples=30, deadline=None)
@given(requests=st.lists(REQUESTS, min_size=1, max_size=6), block_size=st.sampled_from([1, 4, 16]))
def test_scores_are_the_model_s_own_however_they_are_read(
    requests: list[ScoreRequest], block_size: int
) -> None:
    for request, score in zip(requests, scores_by_queries(requests, block_size), strict=True):
        logprobs = logprobs_of(request.context + request.continuation)
        at = range(len(request.context) - 1, len(request.context) + len(request.continuation) - 1)
        expected = [float(logprobs[i, t]) for i, t in zip(at, request.continuation, strict=True)]
        assert score.token_logprobs == pytest.approx(expected, abs=1e-4)
        assert score.token_greedy == tuple(
            bool(logprobs[i].argmax() == t) for i, t in zip(at, request.continuation, strict=True)
        )
        assert score.finite


def test_answers_to_one_question_are_read_from_one_prompt() -> None:
    queries = plan_queries([ScoreRequest((5, 6, 7), (answer,)) for answer in (10, 11, 12, 10)], 16)
    (query,) = queries.values()
    assert query.parts() == [[10, 11, 12]]
    assert not query.within


def test_more_tokens_than_vllm_accepts_at_once_are_requested_in_parts() -> None:
    requests = [ScoreRequest((5, 6), (token,)) for token in range(TOKENS_PER_PROMPT + 1)]
    (query,) = plan_queries(requests, 16).values()
    assert [len(part) for part in query.parts()] == [TOKENS_PER_PROMPT, 1]


def test_short_answers_after_a_long_context_are_read_as_next_tokens() -> None:
    context = tuple(range(64))
    queries = plan_queries([ScoreRequest(context, (5, 6))], block_size=16)
    assert sorted(queries) == [context, (*context, 5)]
    assert not any(query.within for query in queries.values())


def test_a_long_text_after_one_token_is_read_in_one_pass() -> None:
    text = tuple(range(5, 200))
    ((row, query),) = plan_queries([ScoreRequest((5,), text)], block_size=16).items()
    assert row == (5, *text[:-1])
    assert query.within


def test_log_probabilities_that_are_not_finite_make_a_score_that_cannot_win() -> None:
    request = ScoreRequest((5,), (6, 7, 8, 9, 10))
    queries = plan_queries([request], block_size=16)
    ((row, query),) = queries.items()
    broken = SimpleNamespace(logprob=math.nan, rank=0)
    query.add_output(
        SimpleNamespace(
            outputs=[SimpleNamespace(token_ids=[0], logprobs=[{0: broken, 10: broken}])],
            prompt_token_ids=list(row),
            prompt_logprobs=[None, *({token: broken, 0: broken} for token in row[1:])],
        )
    )
    score = assemble(request, queries)
    assert not score.finite
    assert not score.greedy
    assert score.logprob == -math.inf
