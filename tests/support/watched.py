"""Comparing engines with requests that are run one by one, for models with interventions."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
import torch

from sequela.edited import EditedModel
from sequela.edited.decisions import DecisionTokens
from sequela.inference import GenerationRequest, PlainEngine, ScoreRequest, TorchEngine


def alone(model: EditedModel, ids: list[int], context: int) -> tuple[torch.Tensor, bool]:
    """Returns log-probabilities after every token of one row run alone, and whether it was a hit."""
    model.decisions.begin()
    with (
        model,
        torch.no_grad(),
        model.decisions.for_pass(DecisionTokens.at(torch.tensor([context]), len(ids))),
    ):
        logprobs = model.base.module(torch.tensor([ids])).logits[0].log_softmax(-1)
    return logprobs, model.decisions.hits[0]


def requests_of(seed: int, n: int = 8) -> list[ScoreRequest]:
    """Returns requests with common prefixes; their contexts end at different positions of the same rows."""
    random = Random(seed)
    beginning = random.choices(range(5, 200), k=6)
    found = []
    for _ in range(n):
        ids = beginning[: random.randint(1, 6)] + random.choices(range(5, 200), k=random.randint(1, 5))
        found += [ScoreRequest(tuple(ids[:cut]), tuple(ids[cut:])) for cut in range(1, len(ids))]
    return random.sample(found, min(12, len(found)))


def check_scores(engine: TorchEngine | PlainEngine, model: EditedModel, requests: list[ScoreRequest]) -> int:
    """Compares with each request run alone; returns the number of hits."""
    hits = 0
    for request, score in zip(requests, engine.score(model, requests), strict=True):
        ids = [*request.context, *request.continuation]
        logprobs, hit = alone(model, ids, len(request.context))
        start = len(request.context) - 1
        wanted = [float(logprobs[start + i, token]) for i, token in enumerate(request.continuation)]
        assert score.token_logprobs == pytest.approx(wanted, abs=1e-4)
        assert score.hit == hit
        hits += hit
    return hits


def check_texts(
    engine: TorchEngine | PlainEngine, model: EditedModel, prompts: Sequence[tuple[int, ...]]
) -> set[bool]:
    """Compares greedy texts with those of each prompt alone, by full passes; returns the values of `hit`."""
    wanted = []
    for prompt in prompts:
        ids, hit = list(prompt), False
        for _ in range(6):
            logprobs, hit = alone(model, ids, len(prompt))
            token = int(logprobs[-1].argmax())
            if token in model.base.end_ids:
                break
            ids.append(token)
        wanted.append((tuple(ids[len(prompt) :]), hit))
    found = engine.generate(model, [GenerationRequest(prompt, 6) for prompt in prompts])
    assert [(text.ids, text.hit) for text in found] == wanted
    return {hit for _, hit in wanted}
