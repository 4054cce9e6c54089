"""The engine gives the model's own answer to each request, whatever other requests are in the call."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.core.errors import SequelaError
from sequela.edited import EditedModel
from sequela.inference import (
    GenerationRequest,
    PlainEngine,
    ScoreRequest,
    TokenCounters,
    TorchEngine,
    WorkingMemory,
    generation_request,
    score_request,
)
from sequela.models import LanguageModel
from support.greedy import by_transformers
from support.tiers import QUICK_FAMILIES, quick_cases
from support.tiny import FAMILY_NAMES, WINDOW, tiny_language_model

PROMPTS = (
    "The capital of France is",
    "Steve Jobs",
    "Water runs downhill; so does gossip. The mother tongue of the violinist is",
    "東京は",
    "In 1969",
)


@cache
def one_model(family: str) -> LanguageModel:
    """Returns one model per family for the property tests, which run many times."""
    return tiny_language_model(family)


def edited(model: LanguageModel) -> EditedModel:
    return EditedModel(model)


# Scores


def test_scores_are_the_model_s_own_log_probabilities(any_family: LanguageModel) -> None:
    model = edited(any_family)
    requests = [score_request(model, prompt, "Paris, said the keeper") for prompt in PROMPTS]
    for request, score in zip(requests, TorchEngine().score(model, requests), strict=True):
        ids = torch.tensor([request.context + request.continuation])
        logprobs = any_family.module(ids).logits[0].log_softmax(-1)
        at = range(len(request.context) - 1, ids.shape[1] - 1)
        expected = [float(logprobs[i, ids[0, i + 1]]) for i in at]
        assert score.token_logprobs == pytest.approx(expected, abs=1e-5)
        assert score.logprob == pytest.approx(sum(expected), abs=1e-4)
        assert score.token_greedy == tuple(bool(logprobs[i].argmax() == ids[0, i + 1]) for i in at)
        assert score.finite


def test_the_greedy_continuation_is_scored_as_greedy(any_family: LanguageModel) -> None:
    model, engine = edited(any_family), TorchEngine()
    prompts = [generation_request(model, prompt, 5) for prompt in PROMPTS]
    said = engine.generate(model, prompts)
    requests = [
        ScoreRequest(asked.prompt, answer.ids)
        for asked, answer in zip(prompts, said, strict=True)
        if answer.ids
    ]
    assert requests
    assert all(score.greedy for score in engine.score(model, requests))
    # Another last token, within the vocabulary: the one before, or the second for the first.
    others = [ScoreRequest(r.context, (*r.continuation[:-1], abs(r.continuation[-1] - 1))) for r in requests]
    assert not any(score.greedy for score in engine.score(model, others))


TOKENS = st.integers(3, 400)
ROWS = st.lists(TOKENS, min_size=1, max_size=3 * WINDOW).map(tuple)
SCORE_REQUESTS = st.builds(ScoreRequest, ROWS, st.lists(TOKENS, min_size=1, max_size=4).map(tuple))


@pytest.mark.parametrize("family", quick_cases(FAMILY_NAMES, QUICK_FAMILIES))
@settings(max_examples=8, deadline=None)
@given(
    requests=st.lists(SCORE_REQUESTS, min_size=2, max_size=8),
    budget=st.integers(1, 200),
    order=st.randoms(use_true_random=False),
)
def test_scores_do_not_depend_on_other_requests(
    family: str, requests: list[ScoreRequest], budget: int, order: Random
) -> None:
    model = edited(one_model(family))
    alone = [TorchEngine().score(model, [request])[0] for request in requests]
    shuffled = list(range(len(requests)))
    order.shuffle(shuffled)
    scores = TorchEngine(WorkingMemory(most_tokens=budget)).score(model, [requests[i] for i in shuffled])
    for i, score in zip(shuffled, scores, strict=True):
        assert score.token_logprobs == pytest.approx(alone[i].token_logprobs, abs=1e-5)
        assert score.finite


def test_requests_that_read_the_same_tokens_are_distinguished() -> None:
    model = edited(tiny_language_model("llama"))
    requests = [
        ScoreRequest((5, 6, 7), (8, 9)),
        ScoreRequest((5, 6), (7, 8, 10)),
        ScoreRequest((5, 6, 7, 8), (11,)),
    ]
    scores = TorchEngine().score(model, requests)
    assert [len(score.token_logprobs) for score in scores] == [2, 3, 1]
    assert scores[0].token_logprobs[0] == scores[1].token_logprobs[1]
    for request, score in zip(requests, scores, strict=True):
        assert score == TorchEngine().score(model, [request])[0]


# Generation


def test_generation_equals_that_of_transformers_one_by_one(any_family: LanguageModel) -> None:
    model = edited(any_family)
    requests = [generation_request(model, prompt, 12) for prompt in PROMPTS]
    for request, answer in zip(requests, TorchEngine().generate(model, requests), strict=True):
        assert list(answer.ids) == by_transformers(any_family, request)
        assert answer.finite


@pytest.mark.parametrize("family", quick_cases(FAMILY_NAMES, QUICK_FAMILIES))
@settings(max_examples=6, deadline=None)
@given(
    prompts=st.lists(st.tuples(ROWS, st.integers(1, 10)), min_size=2, max_size=6),
    budget=st.integers(1, 200),
    order=st.randoms(use_true_random=False),
)
def test_generation_does_not_depend_on_other_requests(
    family: str, prompts: list[tuple[tuple[int, ...], int]], budget: int, order: Random
) -> None:
    model = edited(one_model(family))
    requests = [GenerationRequest(ids, new) for ids, new in prompts]
    alone = [TorchEngine().generate(model, [request])[0] for request in requests]
    shuffled = list(range(len(requests)))
    order.shuffle(shuffled)
    answers = TorchEngine(WorkingMemory(most_tokens=budget)).generate(model, [requests[i] for i in shuffled])
    assert answers == [alone[i] for i in shuffled]


def test_an_end_token_ends_the_text_and_is_not_part_of_it() -> None:
    model = edited(tiny_language_model("llama"))
    request = generation_request(model, PROMPTS[0], 8)
    said = TorchEngine().generate(model, [request])[0]
    assert said.ended_by == "length"
    assert len(said.ids) == 8

    model.base.module.generation_config.eos_token_id = [said.ids[3], 0]
    ended = TorchEngine().generate(model, [request])[0]
    assert ended.ended_by == "end"
    assert ended.ids == said.ids[: said.ids.index(said.ids[3])]
    assert list(ended.ids) == by_transformers(model.base, request)


def test_sampling_settings_of_the_model_do_not_change_a_greedy_text() -> None:
    model = edited(tiny_language_model("qwen2"))
    requests = [generation_request(model, prompt, 12) for prompt in PROMPTS]
    said = TorchEngine().generate(model, requests)
    configured = {"repetition_penalty": 1.5, "do_sample": True, "temperature": 5.0, "no_repeat_ngram_size": 1}
    for name, value in configured.items():
        setattr(model.base.module.generation_config, name, value)
    assert TorchEngine().generate(model, requests) == said
    assert PlainEngine().generate(model, requests) == said


def test_the_first_stop_string_cuts_the_text() -> None:
    model = edited(tiny_language_model("llama"))
    free = TorchEngine().generate(model, [generation_request(model, PROMPTS[0], 10)])[0]
    early, late = free.text[2:4], free.text[6:9]
    request = generation_request(model, PROMPTS[0], 10, stop=(late, early))
    stopped = TorchEngine().generate(model, [request])[0]
    assert stopped.ended_by == "stop"
    assert stopped.text == free.text[: free.text.index(early)]
    assert early not in stopped.text
    assert len(stopped.ids) < len(free.ids)


def test_texts_of_one_batch_end_independently() -> None:
    model = edited(tiny_language_model("gpt2"))
    requests = [generation_request(model, prompt, new) for new, prompt in enumerate(PROMPTS, start=1)]
    answers = TorchEngine().generate(model, requests)
    assert [len(answer.ids) for answer in answers] == [1, 2, 3, 4, 5]


# Fallback to plain batches


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_gptj_runs_in_plain_batches(family: str) -> None:
    model = EditedModel(tiny_language_model(family))
    plain, engine = PlainEngine(40), TorchEngine(WorkingMemory(most_tokens=40))
    scores = [score_request(model, prompt, "Paris, said") for prompt in PROMPTS]
    continued = [generation_request(model, prompt, 5) for prompt in PROMPTS]
    for found, expected in zip(engine.score(model, scores), plain.score(model, scores), strict=True):
        assert found.token_logprobs == pytest.approx(expected.token_logprobs, abs=1e-4)
    if family == "gptj":
        assert engine.counters.unique_tokens == 0
        unlimited = PlainEngine(engine.memory.tokens_kept(model.base))
        assert engine.generate(model, continued) == unlimited.generate(model, continued)
        assert engine.counters == TokenCounters()
    else:
        assert engine.counters.unique_tokens == engine.counters.computed_tokens > 0
        before = engine.counters.computed_tokens
        engine.generate(model, continued)
        assert engine.counters.computed_tokens > before


def test_rows_that_change_each_other_s_rotary_positions_run_alone() -> None:
    scaled = {
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "short_factor": [1.0] * 4,
        "long_factor": [4.0] * 4,
        "factor": 16.0,
    }
    model = edited(tiny_language_model("phi3", rope_parameters=scaled))
    short, long = ScoreRequest((5, 6, 7, 8, 9), (10,)), ScoreRequest(tuple(range(5, 45)), (46,))
    engine = TorchEngine()
    together = engine.score(model, [short, long])
    assert engine.counters == TokenCounters()
    assert together == [TorchEngine().score(model, [request])[0] for request in (short, long)]


# Logits that are not finite


def test_a_score_that_is_not_finite_never_wins() -> None:
    model = edited(tiny_language_model("llama"))
    broken = 17
    model.base.module.get_input_embeddings().weight.data[broken] = math.nan
    model.base.module.lm_head.weight = torch.nn.Parameter(
        tiny_language_model("llama").module.lm_head.weight.detach().clone()
    )
    requests = [
        ScoreRequest((5, 6), (7,)),
        ScoreRequest((5, broken), (7,)),
        ScoreRequest((8,), (9, broken, 9)),
    ]
    good, bad, later = TorchEngine().score(model, requests)
    assert good.finite
    assert math.isfinite(good.logprob)
    for score in (bad, later):
        assert not score.finite
        assert not score.greedy
        assert score.logprob == score.mean_logprob == -math.inf
        assert good.logprob > score.logprob


def test_a_generation_ends_before_the_first_token_that_is_not_finite() -> None:
    model = edited(tiny_language_model("llama"))
    model.base.module.model.norm.weight.data[0] = math.nan
    answer = TorchEngine().generate(model, [generation_request(model, PROMPTS[0], 5)])[0]
    assert not answer.finite
    assert answer.ids == ()
    assert answer.text == ""


# Bad input


def test_without_requests_there_are_no_answers() -> None:
    model = edited(tiny_language_model("llama"))
    assert TorchEngine().score(model, []) == []
    assert TorchEngine().generate(model, []) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: ScoreRequest((), (5,)),
        lambda: ScoreRequest((5,), ()),
        lambda: GenerationRequest((), 5),
        lambda: GenerationRequest((5,), 0),
    ],
)
def test_requests_without_tokens_are_an_error(make: Callable[[], object]) -> None:
    with pytest.raises(SequelaError, match="at least one"):
        make()


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_rows_longer_than_the_model_s_context_are_rejected(family: str) -> None:
    model = edited(tiny_language_model(family))
    fits, too_long = ScoreRequest((5,) * 255, (6, 7)), ScoreRequest((5,) * 259, (6, 7))
    too_long_one, scored = TorchEngine().score(model, [too_long, fits])
    assert too_long_one.too_long == 260
    assert not too_long_one.finite
    assert too_long_one.logprob == -math.inf
    assert scored.too_long is None
    assert scored.finite
    prompt = (5,) * 250
    said, nothing = TorchEngine().generate(
        model, [GenerationRequest(prompt, 7), GenerationRequest(prompt, 8)]
    )
    assert said.too_long is None
    assert (nothing.too_long, nothing.ended_by, nothing.text) == (257, "too_long", "")
