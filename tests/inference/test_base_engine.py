"""Routing of requests, the context limit, and merging of hits, as all engines share them."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import pytest
import torch
from tests.support.tiny import tiny_language_model

from sequela.core.errors import SequelaError
from sequela.core.progress import Progress
from sequela.edited import Delta, EditedModel, LowRank
from sequela.edited.protocols import NO_ROUTE, Route, Routed
from sequela.inference import (
    BaseEngine,
    Engine,
    Generation,
    GenerationRequest,
    PlainEngine,
    Score,
    ScoreRequest,
    TorchEngine,
    generation_request,
    score_request,
)
from sequela.models import LanguageModel

REQUESTS = [ScoreRequest((5,) * length, (6,)) for length in (4, 9, 3, 5)]
QUESTIONS = ["Ada lives in", "Who is Ada?", "Bo lives in", "The sea is"]


@dataclass(frozen=True)
class Switch:
    """Routes prompts that contain a name to another model."""

    name: str
    other: EditedModel

    @property
    def content_hash(self) -> str:
        return f"{self.name} {self.other.content_hash}"

    def route(self, prompt: str) -> Routed:
        if self.name in prompt:
            return Routed(f"Now: {prompt}", Route(True, self.other))
        return Routed(prompt, Route(False))


@pytest.fixture
def base() -> LanguageModel:
    return tiny_language_model("llama")


@pytest.fixture
def other(base: LanguageModel) -> EditedModel:
    """The same model with changed weights, to which requests are routed."""
    name = base.family.mlp_out_name(1)
    rows, columns = base.module.get_parameter(name).shape
    factors = torch.Generator().manual_seed(3)
    change = LowRank(torch.randn(rows, 2, generator=factors), torch.randn(2, columns, generator=factors))
    return EditedModel(base, Delta(base.fingerprint, {name: change}))


@pytest.mark.parametrize("engine", [PlainEngine(), TorchEngine()], ids=["plain", "torch"])
def test_each_request_is_scored_by_the_model_that_its_route_names(
    engine: Engine, base: LanguageModel, other: EditedModel
) -> None:
    routed, plain = EditedModel(base, routers=(Switch("Ada", other),)), EditedModel(base)
    asked = [score_request(routed, question, "Oslo") for question in QUESTIONS]
    found = engine.score(routed, asked)
    assert [score.hit for score in found] == [True, True, False, False]
    direct = engine.score(other, [score_request(other, f"Now: {q}", "Oslo") for q in QUESTIONS[:2]])
    unrouted = engine.score(plain, [score_request(plain, q, "Oslo") for q in QUESTIONS[2:]])
    assert [s.token_logprobs for s in found] == [s.token_logprobs for s in [*direct, *unrouted]]
    assert (
        found[0].logprob
        != engine.score(plain, [score_request(plain, "Now: Ada lives in", "Oslo")])[0].logprob
    )


@pytest.mark.parametrize("engine", [PlainEngine(), TorchEngine()], ids=["plain", "torch"])
def test_texts_are_generated_by_the_model_that_the_route_names(
    engine: Engine, base: LanguageModel, other: EditedModel
) -> None:
    routed, plain = EditedModel(base, routers=(Switch("Ada", other),)), EditedModel(base)
    found = engine.generate(routed, [generation_request(routed, q, 8) for q in QUESTIONS])
    assert [text.hit for text in found] == [True, True, False, False]
    direct = engine.generate(other, [generation_request(other, f"Now: {q}", 8) for q in QUESTIONS[:2]])
    unrouted = engine.generate(plain, [generation_request(plain, q, 8) for q in QUESTIONS[2:]])
    assert [text.ids for text in found] == [text.ids for text in [*direct, *unrouted]]


def test_without_a_hit_scores_are_those_without_a_router(base: LanguageModel, other: EditedModel) -> None:
    routed, plain = EditedModel(base, routers=(Switch("Zoe", other),)), EditedModel(base)
    engine = TorchEngine()
    found = engine.score(routed, [score_request(routed, q, "Oslo") for q in QUESTIONS])
    without = engine.score(plain, [score_request(plain, q, "Oslo") for q in QUESTIONS])
    assert [s.token_logprobs for s in found] == [s.token_logprobs for s in without]
    assert {s.hit for s in found} == {False}
    assert {s.hit for s in without} == {None}


def test_a_hit_of_one_router_is_a_hit_and_the_later_answerer_takes_precedence(other: EditedModel) -> None:
    hit, missed = Route(True, other), Route(False)
    assert hit.then(missed) == hit
    assert missed.then(hit) == hit
    assert NO_ROUTE.then(NO_ROUTE).hit is None
    assert NO_ROUTE.then(missed).hit is False
    later = EditedModel(other.base)
    assert hit.then(Route(None, later)) == Route(True, later)


class LengthEngine(BaseEngine):
    """Scores each request by its length and records which requests reach which model."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.calls: list[tuple[EditedModel, list[int]]] = []

    def _context_limit(self, model: EditedModel) -> int:
        return self.limit

    def _score(self, model: EditedModel, requests: list[ScoreRequest], progress: Progress) -> list[Score]:
        self.calls.append((model, [request.length for request in requests]))
        return [Score((-float(request.length),), (True,), True) for request in requests]

    def _generate(
        self, model: EditedModel, requests: list[GenerationRequest], progress: Progress
    ) -> list[Generation]:
        self.calls.append((model, [request.length for request in requests]))
        return [Generation(str(request.length), (), "length", True) for request in requests]


def test_scores_and_rejections_are_in_the_order_of_the_requests(
    base: LanguageModel, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        scores = LengthEngine(4).score(EditedModel(base), REQUESTS)
    assert [score.too_long for score in scores] == [None, 9, None, 5]
    assert [score.logprob for score in scores] == [-4, -math.inf, -3, -math.inf]
    assert f"2 of 4 requests are longer than the context of {base.name} (4 tokens" in caplog.text
    assert "the longest has 9" in caplog.text


def test_generations_and_rejections_are_in_the_order_of_the_requests(base: LanguageModel) -> None:
    requests = [GenerationRequest((5,) * length, 1) for length in (4, 9, 3, 5)]
    generations = LengthEngine(4).generate(EditedModel(base), requests)
    assert [answer.too_long for answer in generations] == [None, 9, None, 5]
    assert [answer.text for answer in generations] == ["4", "", "3", ""]


def test_if_no_request_fits_no_model_is_run(base: LanguageModel, caplog: pytest.LogCaptureFixture) -> None:
    engine = LengthEngine(2)
    scores = engine.score(EditedModel(base), REQUESTS)
    assert [score.too_long for score in scores] == [4, 9, 3, 5]
    assert "4 of 4 requests" in caplog.text
    assert engine.score(EditedModel(base), []) == []
    assert engine.calls == []


def test_each_model_receives_its_requests_in_one_call_and_rejections_keep_their_hits(
    base: LanguageModel, other: EditedModel
) -> None:
    model, engine = EditedModel(base), LengthEngine(4)
    requests = [
        ScoreRequest((5,) * 4, (6,), Route(False)),
        ScoreRequest((5,) * 9, (6,), Route(True, other)),
        ScoreRequest((5,) * 2, (6,), Route(True, other)),
        ScoreRequest((5,) * 3, (6,)),
    ]
    scores = engine.score(model, requests)
    assert engine.calls == [(model, [4, 3]), (other, [2])]
    assert [score.too_long for score in scores] == [None, 9, None, None]
    assert [score.hit for score in scores] == [False, True, True, None]


def test_a_model_that_the_engine_cannot_run_is_rejected_even_if_no_request_fits(base: LanguageModel) -> None:
    class Selective(LengthEngine):
        def _check_model(self, model: EditedModel) -> None:
            raise SequelaError("This engine runs no model.")

    with pytest.raises(SequelaError, match="runs no model"):
        Selective(2).score(EditedModel(base), REQUESTS)


@pytest.mark.parametrize("before", [(), (7, 8, 9)])
def test_a_prompt_that_is_too_long_is_reported_once(
    base: LanguageModel, caplog: pytest.LogCaptureFixture, before: tuple[int, ...]
) -> None:
    """It is generated and scored at every checkpoint, maybe after other examples of a router."""
    engine, model = PlainEngine(), EditedModel(base)
    long = tuple(range(3, 103)) * (1 + base.context_length // 100)
    ending = " ".join(base.tokenizer.decode(long[-32:]).split())
    with caplog.at_level(logging.WARNING):
        engine.generate(model, [GenerationRequest(long, 2), GenerationRequest((5, 6), 2)])
        engine.score(model, [ScoreRequest(before + long, (6,))])
        engine.generate(model, [GenerationRequest(before + long, 2)])
    assert [record.getMessage() for record in caplog.records] == [
        f"1 of 2 requests are longer than the context of {base.name} ({base.context_length} tokens; the "
        f"longest has {len(long) + 1}) and are rejected; the first ends with {ending[-60:]!r}."
    ]
    with caplog.at_level(logging.WARNING):
        engine.score(model, [ScoreRequest((*long, 4), (6,)), ScoreRequest(long, (6,))])
    assert len(caplog.records) == 2
