"""Which side memory answers is decided for each request by itself, however requests are run together."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.core.errors import SequelaError
from sequela.edited import EditedModel
from sequela.edited.decisions import NO_MATCH, DecisionTokens
from sequela.editors.methods.wise.side_memory import SideMemories, SideMemory, SideMemoryRouter
from sequela.inference import GenerationRequest, PlainEngine, ScoreRequest, TorchEngine, WorkingMemory
from sequela.models import LanguageModel
from support.tiers import quick_cases
from support.tiny import FAMILY_NAMES, KEY_WIDTH, WIDTH, tiny_language_model

LAYER = 2
PROBES = 40
"""How many random texts tell what activations are usual."""


def random_ids(random: Random, least: int, most: int) -> list[int]:
    return random.choices(range(5, 200), k=random.randint(least, most))


def key_of(model: LanguageModel, ids: list[int]) -> torch.Tensor:
    """What enters the projection at the last of some tokens, by a pass of their own."""
    seen: list[torch.Tensor] = []

    def before(_: object, args: Any) -> None:
        seen.append(args[0][0, -1])

    hook = model.family.mlp_out_module(model.module, LAYER).register_forward_pre_hook(before)
    with torch.no_grad():
        model.module(torch.tensor([ids]))
    hook.remove()
    return seen[0]


def two_memories(model: LanguageModel) -> SideMemoryRouter:
    """Random copies with thresholds such that about half of all texts hit, some the one, some the other."""
    generator, random = torch.Generator().manual_seed(0), Random(0)
    changes = [0.3 * torch.randn(WIDTH, KEY_WIDTH, generator=generator) for _ in range(2)]
    keys = torch.stack([key_of(model, random_ids(random, 1, 8)) for _ in range(PROBES)])
    state = SideMemories().with_memories(
        [
            SideMemory(
                edits=(str(i),), shards=(i,), least_activation=float((keys @ d.T).norm(dim=1).median())
            )
            for i, d in enumerate(changes)
        ],
        changes,
    )
    return SideMemoryRouter(LAYER, state, act_ratio=1.1)


def alone(
    model: LanguageModel, router: SideMemoryRouter, ids: list[int], context: int
) -> tuple[torch.Tensor, int]:
    """Log-probabilities after every token of one row, and which memory answered, worked out from the rule."""
    key = key_of(model, ids[:context])
    found = [float((change @ key).norm()) for change in router.state.changes]
    reached = [i for i, threshold in enumerate(router.thresholds) if found[i] >= threshold]
    place = max(reached, key=lambda i: found[i], default=NO_MATCH)

    def copy(_: object, inputs: Any, outputs: torch.Tensor) -> torch.Tensor:
        shift = inputs[0] @ router.state.changes[place].T
        shift[:, : context - 1] = 0
        return outputs + shift

    module = model.family.mlp_out_module(model.module, LAYER)
    hook = module.register_forward_hook(copy) if place >= 0 else None
    with torch.no_grad():
        logprobs = model.module(torch.tensor([ids])).logits[0].log_softmax(-1)
    if hook is not None:
        hook.remove()
    return logprobs, place


def requests_of(seed: int, n: int = 12) -> list[ScoreRequest]:
    """Requests with common beginnings whose contexts end at different places, some of the same tokens."""
    random = Random(seed)
    beginning, found = random_ids(random, 6, 6), []
    for _ in range(n):
        ids = beginning[: random.randint(0, 6)] + random_ids(random, 2, 6)
        found += [ScoreRequest(tuple(ids[:cut]), tuple(ids[cut:])) for cut in range(1, len(ids))]
    return random.sample(found, n)


def check_scores(
    engine: TorchEngine | PlainEngine,
    model: EditedModel,
    router: SideMemoryRouter,
    requests: list[ScoreRequest],
) -> set[int]:
    """Compares with each request by itself; returns which memories answered."""
    places = set()
    for request, score in zip(requests, engine.score(model, requests), strict=True):
        ids = [*request.context, *request.continuation]
        logprobs, place = alone(model.base, router, ids, len(request.context))
        start = len(request.context) - 1
        wanted = [float(logprobs[start + i, token]) for i, token in enumerate(request.continuation)]
        assert score.token_logprobs == pytest.approx(wanted, abs=1e-4)
        assert score.hit == (place >= 0)
        places.add(place)
    return places


@pytest.mark.parametrize("family", quick_cases(FAMILY_NAMES, ("gpt2", "gptj", "gemma2")))
def test_scores_are_those_of_each_request_by_itself(family: str) -> None:
    base = tiny_language_model(family)
    router = two_memories(base)
    model = EditedModel(base, interventions=(router,))
    requests = requests_of(1) + requests_of(2)
    places = check_scores(TorchEngine(WorkingMemory(most_tokens=16)), model, router, requests)
    check_scores(PlainEngine(40), model, router, requests)
    assert places == {NO_MATCH, 0, 1}
    assert not base.changes


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), tokens=st.integers(1, 64))
def test_whatever_comes_together(seed: int, tokens: int) -> None:
    base = tiny_language_model("llama")
    router = two_memories(base)
    model = EditedModel(base, interventions=(router,))
    check_scores(TorchEngine(WorkingMemory(most_tokens=tokens)), model, router, requests_of(seed))


@pytest.mark.parametrize("family", quick_cases(FAMILY_NAMES, ("gpt2", "gptj", "gemma2")))
def test_texts_are_those_of_each_prompt_by_itself(family: str) -> None:
    """A token at a time by full passes, decided at the end of the prompt; engines go on from a cache."""
    base = tiny_language_model(family)
    router = two_memories(base)
    model = EditedModel(base, interventions=(router,))
    prompts = [request.context for request in requests_of(5)]
    wanted = []
    for prompt in prompts:
        ids, hit = list(prompt), False
        for _ in range(5):
            logprobs, place = alone(base, router, ids, len(prompt))
            hit, token = place >= 0, int(logprobs[-1].argmax())
            if token in base.end_ids:
                break
            ids.append(token)
        wanted.append((tuple(ids[len(prompt) :]), hit))
    for engine in (TorchEngine(WorkingMemory(most_rows=3)), PlainEngine(40)):
        found = engine.generate(model, [GenerationRequest(prompt, 5) for prompt in prompts])
        assert [(one.ids, one.hit) for one in found] == wanted
    assert {hit for _, hit in wanted} == {True, False}


def test_a_row_that_is_not_hit_has_the_very_bits_of_the_unedited_model() -> None:
    """Beside others that are, and before the token that decides in those."""
    base = tiny_language_model("llama")
    router, random = two_memories(base), Random(6)
    rows = [random_ids(random, 8, 8) for _ in range(12)]
    contexts, ids = [random.randint(1, 8) for _ in rows], torch.tensor(rows)
    model = EditedModel(base, interventions=(router,))
    with torch.no_grad():
        unedited = base.module(ids).logits
        with model, model.decisions.for_pass(DecisionTokens.at(torch.tensor(contexts), 8)):
            edited = base.module(ids).logits
    assert set(model.decisions.hits.values()) == {True, False}
    for row, context in enumerate(contexts):
        start = context - 1 if model.decisions.hits[row] else 8
        assert torch.equal(edited[row, :start], unedited[row, :start])
        assert not bool((edited[row, start:] == unedited[row, start:]).all(dim=-1).any())


def test_no_decision_is_kept_once_numbers_have_another_meaning() -> None:
    """A token whose owner has the number of one that hit before, and made no decision since."""
    base = tiny_language_model("llama")
    router, random = two_memories(base), Random(4)
    model = EditedModel(base, interventions=(router,))
    ids = next(
        ids
        for ids in iter(lambda: random_ids(random, 3, 6), None)
        if alone(base, router, ids, len(ids))[1] >= 0
    )
    row, under = torch.tensor([ids]), DecisionTokens.under(torch.zeros(1, len(ids), dtype=torch.long))
    with torch.no_grad():
        unedited = base.module(row).logits
        with model:
            with model.decisions.for_pass(DecisionTokens.at(torch.tensor([len(ids)]), len(ids))):
                base.module(row)
            assert model.decisions.hits == {0: True}
            with model.decisions.for_pass(under):
                assert not torch.equal(base.module(row).logits, unedited)
            model.decisions.begin()
            with model.decisions.for_pass(under), pytest.raises(SequelaError, match="was not made"):
                base.module(row)


def test_the_hash_is_of_every_bit_and_of_the_thresholds() -> None:
    router = two_memories(tiny_language_model("llama"))
    other = SideMemoryRouter(LAYER, router.state, act_ratio=1.2)
    changes = [router.state.changes[0].clone(), router.state.changes[1]]
    changes[0][0, 0] += 1e-6
    moved = SideMemoryRouter(LAYER, router.state.with_memories(router.state.memories, changes), act_ratio=1.1)
    elsewhere = SideMemoryRouter(1, router.state, act_ratio=1.1)
    assert len({one.content_hash for one in (router, other, moved, elsewhere)}) == 4
    assert SideMemoryRouter(LAYER, router.state, act_ratio=1.1).content_hash == router.content_hash
