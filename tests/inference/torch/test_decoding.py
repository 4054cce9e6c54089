"""Rows enter, share prefixes, and leave; each is continued as if it were alone."""

from __future__ import annotations

import math

import pytest
import torch

from sequela.core.progress import SilentProgress
from sequela.edited import EditedModel
from sequela.inference import (
    Engine,
    Generation,
    GenerationRequest,
    TorchEngine,
    WorkingMemory,
    generation_request,
)
from sequela.inference.torch.reference_engine import PlainEngine
from sequela.models import LanguageModel
from support.greedy import by_transformers
from support.tiers import QUICK_FAMILIES, quick_cases
from support.tiny import FAMILY_NAMES, WINDOW, tiny_language_model
from support.tries import Row

FAMILIES = [name for name in FAMILY_NAMES if name != "gptj"]
SHOTS: tuple[Row, ...] = (tuple(range(40, 40 + 3 * WINDOW)), tuple(range(100, 100 + 2 * WINDOW)))
"""Two common prefixes longer than a sliding window."""

PROMPTS: tuple[Row, ...] = (
    *((*SHOTS[0], 200 + question, 210) for question in range(3)),
    *((*SHOTS[1], *range(220, 221 + question)) for question in range(3)),
    (*SHOTS[0], 200, 210),  # equal to the first
    SHOTS[0],  # a prefix of others
    (*SHOTS[0], 200),
    (5,),
    (5,),
    (9, 8, 7),
)


def untied(family: str) -> LanguageModel:
    """Returns a tiny model with an untied head: with a tied one, random models repeat themselves."""
    return tiny_language_model(family, tie_word_embeddings=False)


def generate(
    model: LanguageModel, requests: list[GenerationRequest], rows: int, tokens: int = 2048
) -> list[Generation]:
    engine = TorchEngine(WorkingMemory(most_rows=rows, most_tokens=tokens))
    return engine.generate(EditedModel(model), requests)


@pytest.mark.parametrize("family", quick_cases(FAMILIES, (*QUICK_FAMILIES, "phi3")))
def test_every_row_is_continued_as_by_transformers_alone(family: str) -> None:
    model = untied(family)
    requests = [GenerationRequest(prompt, 2 + 3 * (number % 4)) for number, prompt in enumerate(PROMPTS)]
    expected = [by_transformers(model, request) for request in requests]
    for rows, tokens in ((1, 1), (2, 2048), (5, 20), (64, 2048)):
        answers = generate(model, requests, rows, tokens)
        assert [list(answer.ids) for answer in answers] == expected
        assert all(answer.finite for answer in answers)


@pytest.mark.parametrize("family", ["phi3", "qwen2", "qwen3"])
def test_sliding_windows_that_a_configuration_turns_on_are_respected(family: str) -> None:
    switch = {} if family == "phi3" else {"use_sliding_window": True, "max_window_layers": 2}
    model = tiny_language_model(family, tie_word_embeddings=False, sliding_window=WINDOW, **switch)
    requests = [GenerationRequest(prompt, 8) for prompt in PROMPTS]
    expected = [by_transformers(model, request) for request in requests]
    assert [list(answer.ids) for answer in generate(model, requests, 5)] == expected


def test_a_common_prefix_is_read_once() -> None:
    engine = TorchEngine(WorkingMemory(most_rows=4))
    requests = [GenerationRequest((*SHOTS[0], 200 + question, 210), 3) for question in range(8)]
    answers = engine.generate(EditedModel(tiny_language_model("llama")), requests)
    assert [answer.ended_by for answer in answers] == ["length"] * 8
    steps = 2  # the first of three tokens comes from the prompt
    assert engine.counters.computed_tokens == len(SHOTS[0]) + 8 * (2 + steps)
    assert engine.counters.asked_positions == 8 * 3


@pytest.mark.parametrize("rows", [1, 2, 64])
def test_rows_end_at_end_tokens_and_stop_strings_wherever_they_are(rows: int) -> None:
    model = untied("llama")
    free = generate(model, [GenerationRequest(prompt, 12) for prompt in PROMPTS], 64)
    model.module.generation_config.eos_token_id = [free[9].ids[5]]
    stops = (free[3].text[7:9], free[11].text[3:5])
    requests = [
        GenerationRequest(prompt, 12, stops if number % 2 else ()) for number, prompt in enumerate(PROMPTS)
    ]
    ended = set()
    for number, (request, answer) in enumerate(zip(requests, generate(model, requests, rows), strict=True)):
        ended.add(answer.ended_by)
        alone = by_transformers(model, request)
        assert list(answer.ids) == alone[: len(answer.ids)]
        whole = model.tokenizer.decode(alone, skip_special_tokens=True)
        positions = [whole.find(stop) for stop in request.stop if stop in whole]
        assert answer.text == whole[: min(positions, default=None)]
        assert (answer.ended_by == "stop") == bool(positions), number
        assert (answer.ended_by == "length") == (len(alone) == 12 and not positions)
    assert ended == {"end", "stop", "length"}


# Logits that are not finite


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rows", [2, 3])
def test_a_row_that_is_not_finite_affects_no_later_row_in_its_slot(family: str, rows: int) -> None:
    """Short rows take the slots of long NaN rows, next to a long row that makes whole slots be read."""
    model = untied(family)
    broken = 17
    prompts: list[Row] = [
        tuple(range(3, 15)),
        *((16, broken, *range(60 + 20 * n, 70 + 20 * n)) for n in range(2)),
    ]
    prompts += [(18 + n, 19) for n in range(3)]
    requests = [GenerationRequest(prompt, 12) for prompt in prompts]
    model.module.get_input_embeddings().weight.data[broken] = math.nan
    whole = [request for request in requests if broken not in request.prompt]
    expected = {request.prompt: by_transformers(model, request) for request in whole}
    for request, answer in zip(requests, generate(model, requests, rows), strict=True):
        if broken in request.prompt:
            assert (answer.finite, answer.ids, answer.ended_by) == (False, (), "length")
        elif broken not in expected[request.prompt]:
            assert answer.finite
            assert list(answer.ids) == expected[request.prompt]


def test_a_row_that_becomes_nan_affects_no_other_row() -> None:
    model = untied("llama")
    requests = [GenerationRequest(prompt, 8) for prompt in PROMPTS]
    before = generate(model, requests, 64)
    broken = before[3].ids[1]
    assert broken not in {token for prompt in PROMPTS for token in prompt}
    model.module.get_input_embeddings().weight.data[broken] = math.nan
    contaminated = 0
    for was, now in zip(before, generate(model, requests, 3), strict=True):
        if broken in was.ids[:-1]:
            contaminated += 1
            assert not now.finite
            assert now.ids == was.ids[: was.ids.index(broken) + 1]
        else:
            assert now == was
    assert 0 < contaminated < len(PROMPTS)


# Precision


@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_models_continue_with_tokens_they_find_best(family: str) -> None:
    model = untied(family)
    requests = [GenerationRequest(prompt, 6) for prompt in PROMPTS]
    model.module.to(torch.bfloat16)
    for request, answer in zip(requests, generate(model, requests, 3), strict=True):
        assert answer.finite
        assert answer.ids
        logits = model.module(torch.tensor([(*request.prompt, *answer.ids)])).logits[0].float()
        for position, token in enumerate(answer.ids, start=len(request.prompt) - 1):
            # Rounding may choose between tokens that are about as likely, not more.
            assert logits[position, token] > logits[position].max() - 0.05 * logits[position].std() - 0.02


class Counted(SilentProgress):
    """Records progress reports."""

    def __init__(self) -> None:
        self.totals, self.units, self.finished = list[int | None](), list[int](), 0

    def start(self, description: str, total: int | None) -> int:
        self.totals.append(total)
        return 0

    def advance(self, task: int, units: int = 1) -> None:
        self.units.append(units)

    def finish(self, task: int) -> None:
        self.finished += 1


def test_progress_is_told_of_every_token_and_of_those_that_an_early_end_saves() -> None:
    model = untied("llama")
    free = generate(model, [GenerationRequest(prompt, 12) for prompt in PROMPTS], 64)
    stop = (model.tokenizer.decode(free[0].ids[2]),)
    requests = [GenerationRequest(prompt, 12, stop) for prompt in PROMPTS]
    for engine in (TorchEngine(WorkingMemory(most_rows=5)), PlainEngine()):
        counted = Counted()
        answers = engine.generate(EditedModel(model), requests, counted)
        assert any(answer.ended_by == "stop" for answer in answers)
        assert counted.totals == [12 * len(PROMPTS)] == [sum(counted.units)]
        assert counted.finished == 1
        assert len(counted.units) >= 12  # every step is reported, not only the end of a text


@pytest.mark.parametrize("engine", [TorchEngine(), PlainEngine()], ids=["torch", "plain"])
def test_decoding_is_greedy_whatever_the_models_generation_config_says(engine: Engine) -> None:
    plain, configured = tiny_language_model("llama"), tiny_language_model("llama")
    for name, value in (
        ("do_sample", True),
        ("temperature", 5.0),
        ("top_k", 2),
        ("repetition_penalty", 50.0),
        ("no_repeat_ngram_size", 1),
        ("min_new_tokens", 30),
        ("max_new_tokens", 1),
        ("bad_words_ids", [[token] for token in range(10, 100)]),
    ):
        setattr(configured.module.generation_config, name, value)
    texts = []
    for model in (EditedModel(plain), EditedModel(configured)):
        requests = [generation_request(model, prompt, 24) for prompt in ("Ada plays the", "Rome")]
        texts.append([answer.text for answer in engine.generate(model, requests)])
    assert texts[0] == texts[1]
    assert any(texts[0])
