"""Requests that a router has another model answer."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from tests.support.tiny import tiny_language_model

from sequela.edited import Delta, EditedModel, LowRank
from sequela.edited.protocols import NO_ROUTE, Route, Routed
from sequela.inference import (
    Engine,
    PlainEngine,
    TorchEngine,
    generation_request,
    score_request,
)
from sequela.models import LanguageModel

QUESTIONS = ["Ada lives in", "Who is Ada?", "Bo lives in", "The sea is"]


@dataclass(frozen=True)
class Switch:
    """Has prompts that name somebody answered by another model."""

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
    """The same model with changed weights, as an answerer of its own."""
    name = base.family.mlp_out_name(1)
    rows, columns = base.module.get_parameter(name).shape
    factors = torch.Generator().manual_seed(3)
    change = LowRank(torch.randn(rows, 2, generator=factors), torch.randn(2, columns, generator=factors))
    return EditedModel(base, Delta(base.fingerprint, {name: change}))


@pytest.mark.parametrize("engine", [PlainEngine(), TorchEngine()], ids=["plain", "torch"])
def test_each_request_is_answered_by_whom_its_route_names(
    engine: Engine, base: LanguageModel, other: EditedModel
) -> None:
    routed, plain = EditedModel(base, routers=(Switch("Ada", other),)), EditedModel(base)
    asked = [score_request(routed, question, "Oslo") for question in QUESTIONS]
    found = engine.score(routed, asked)
    assert [score.hit for score in found] == [True, True, False, False]
    direct = engine.score(other, [score_request(other, f"Now: {q}", "Oslo") for q in QUESTIONS[:2]])
    base_says = engine.score(plain, [score_request(plain, q, "Oslo") for q in QUESTIONS[2:]])
    assert [s.token_logprobs for s in found] == [s.token_logprobs for s in [*direct, *base_says]]
    assert (
        found[0].logprob
        != engine.score(plain, [score_request(plain, "Now: Ada lives in", "Oslo")])[0].logprob
    )


@pytest.mark.parametrize("engine", [PlainEngine(), TorchEngine()], ids=["plain", "torch"])
def test_texts_are_written_by_whom_the_route_names(
    engine: Engine, base: LanguageModel, other: EditedModel
) -> None:
    routed, plain = EditedModel(base, routers=(Switch("Ada", other),)), EditedModel(base)
    found = engine.generate(routed, [generation_request(routed, q, 8) for q in QUESTIONS])
    assert [text.hit for text in found] == [True, True, False, False]
    direct = engine.generate(other, [generation_request(other, f"Now: {q}", 8) for q in QUESTIONS[:2]])
    base_says = engine.generate(plain, [generation_request(plain, q, 8) for q in QUESTIONS[2:]])
    assert [text.ids for text in found] == [text.ids for text in [*direct, *base_says]]


def test_where_nothing_hits_all_is_as_without_a_router(base: LanguageModel, other: EditedModel) -> None:
    routed, plain = EditedModel(base, routers=(Switch("Zoe", other),)), EditedModel(base)
    engine = TorchEngine()
    found = engine.score(routed, [score_request(routed, q, "Oslo") for q in QUESTIONS])
    without = engine.score(plain, [score_request(plain, q, "Oslo") for q in QUESTIONS])
    assert [s.token_logprobs for s in found] == [s.token_logprobs for s in without]
    assert {s.hit for s in found} == {False}
    assert {s.hit for s in without} == {None}


def test_a_hit_of_one_router_is_a_hit_and_the_later_answerer_counts(other: EditedModel) -> None:
    hit, missed = Route(True, other), Route(False)
    assert hit.then(missed) == hit
    assert missed.then(hit) == hit
    assert NO_ROUTE.then(NO_ROUTE).hit is None
    assert NO_ROUTE.then(missed).hit is False
    later = EditedModel(other.base)
    assert hit.then(Route(None, later)) == Route(True, later)
