"""The side memory is chosen for each request independently, however requests are batched."""

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
"""The number of random texts that determine typical activations."""


def random_ids(random: Random, least: int, most: int) -> list[int]:
    return random.choices(range(5, 200), k=random.randint(least, most))


def key_of(model: LanguageModel, ids: list[int]) -> torch.Tensor:
    """Returns the projection's input at the last of some tokens, from a separate pass."""
    seen: list[torch.Tensor] = []

    def before(_: object, args: Any) -> None:
        seen.append(args[0][0, -1])

    hook = model.family.mlp_out_module(model.module, LAYER).register_forward_pre_hook(before)
    with torch.no_grad():
        model.module(torch.tensor([ids]))
    hook.remove()
    return seen[0]


def two_memories(model: LanguageModel) -> SideMemoryRouter:
    """Returns random copies with thresholds such that about half of all texts hit one of them."""
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
    """Returns log-probabilities after each token of one row, and the memory chosen by the rule."""
    key = key_of(model, ids[:context])
    found = [float((change @ key).norm()) for change in router.state.changes]
    reached = [i for i, threshold in enumerate(router.thresholds) if found[i] >= threshold]
    chosen = max(reached, key=lambda i: found[i], default=NO_MATCH)

    def copy(_: object, inputs: Any, outputs: torch.Tensor) -> torch.Tensor:
        shift = inputs[0] @ router.state.changes[chosen].T
        shift[:, : context - 1] = 0
        return outputs + shift

    module = model.family.mlp_out_module(model.module, LAYER)
    hook = module.register_forward_hook(copy) if chosen >= 0 else None
    with torch.no_grad():
        logprobs = model.module(torch.tensor([ids])).logits[0].log_softmax(-1)
    if hook is not None:
        hook.remove()
    return logprobs, chosen


def requests_of(seed: int, n: int = 12) -> list[ScoreRequest]:
    """Returns requests with common prefixes; their contexts end at different positions of the same rows."""
    random = Random(seed)
    prefix, requests = random_ids(random, 6, 6), []
    for _ in range(n):
        ids = prefix[: random.randint(0, 6)] + random_ids(random, 2, 6)
        requests += [ScoreRequest(tuple(ids[:cut]), tuple(ids[cut:])) for cut in range(1, len(ids))]
    return random.sample(requests, n)


def check_scores(
    engine: TorchEngine | PlainEngine,
    model: EditedModel,
    router: SideMemoryRouter,
    requests: list[ScoreRequest],
) -> set[int]:
    """Compares with each request run alone; returns the memories that were chosen."""
    memories = set()
    for request, score in zip(requests, engine.score(model, requests), strict=True):
        ids = [*request.context, *request.continuation]
        logprobs, chosen = alone(model.base, router, ids, len(request.context))
        start = len(request.context) - 1
        expected = [float(logprobs[start + i, token]) for i, token in enumerate(request.continuation)]
        assert score.token_logprobs == pytest.approx(expected, abs=1e-4)
        assert score.hit == (chosen >= 0)
        memories.add(chosen)
    return memories


@pytest.mark.parametrize("family", quick_cases(FAMILY_NAMES, ("gpt2", "gptj", "gemma2")))
def test_scores_are_those_of_each_request_alone(family: str) -> None:
    base = tiny_language_model(family)
    router = two_memories(base)
    model = EditedModel(base, interventions=(router,))
    requests = requests_of(1) + requests_of(2)
    memories = check_scores(TorchEngine(WorkingMemory(most_tokens=16)), model, router, requests)
    check_scores(PlainEngine(40), model, router, requests)
    assert memories == {NO_MATCH, 0, 1}
    assert not base.changes


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), tokens=st.integers(1, 64))
def test_scores_do_not_depend_on_the_batch(seed: int, tokens: int) -> None:
    base = tiny_language_model("llama")
    router = two_memories(base)
    model = EditedModel(base, interventions=(router,))
    check_scores(TorchEngine(WorkingMemory(most_tokens=tokens)), model, router, requests_of(seed))


@pytest.mark.parametrize("family", quick_cases(FAMILY_NAMES, ("gpt2", "gptj", "gemma2")))
def test_texts_are_those_of_each_prompt_alone(family: str) -> None:
    """Compared with full passes for each token, decided at the end of the prompt; engines use a cache."""
    base = tiny_language_model(family)
    router = two_memories(base)
    model = EditedModel(base, interventions=(router,))
    prompts = [request.context for request in requests_of(5)]
    expected = []
    for prompt in prompts:
        ids, hit = list(prompt), False
        for _ in range(5):
            logprobs, chosen = alone(base, router, ids, len(prompt))
            hit, token = chosen >= 0, int(logprobs[-1].argmax())
            if token in base.end_ids:
                break
            ids.append(token)
        expected.append((tuple(ids[len(prompt) :]), hit))
    for engine in (TorchEngine(WorkingMemory(most_rows=3)), PlainEngine(40)):
        found = engine.generate(model, [GenerationRequest(prompt, 5) for prompt in prompts])
        assert [(text.ids, text.hit) for text in found] == expected
    assert {hit for _, hit in expected} == {True, False}


def test_a_row_without_a_hit_is_bit_for_bit_that_of_the_unedited_model() -> None:
    """Also in a batch with hits, and in rows with a hit before the deciding token."""
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


def test_no_decision_is_kept_after_begin() -> None:
    """A token under the id of an earlier decision that hit, for which no decision was made since."""
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
