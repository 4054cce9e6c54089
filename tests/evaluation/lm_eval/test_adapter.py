"""Sequela's adapter compared with the harness's own `HFLM`."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from sequela.core.errors import BadInputError
from sequela.edited import EditedModel
from sequela.edited.protocols import Routed
from sequela.evaluation.lm_eval.adapter import EngineLM
from sequela.inference import TorchEngine, WorkingMemory
from support.tiny import tiny_language_model

PAIRS = [
    ("The capital of France is", " Paris"),
    ("The capital of France is", " Rome, said the old bookseller."),
    ("The capital of France is ", "Paris"),
    ("Who founded Apple?\nAnswer:", " A"),
    ("Who founded Apple?\nAnswer:", " B"),
    ("", "Water runs downhill."),
    ("Où est la bibliothèque? " * 12, "東京"),
    ("x", " y"),
]
PROMPTS = ["Q: Who founded Apple?\nA:", "Water runs", "The mother tongue of the violinist is " * 5, "In 1969"]


def peer(model: EditedModel, batch_size: int) -> HFLM:
    # HFLM gives the tokenizer a padding token, so it gets a copy.
    tokenizer = copy.deepcopy(model.base.tokenizer)
    return HFLM(pretrained=model.base.module, tokenizer=tokenizer, batch_size=batch_size)


def instances(kind: Any, arguments: list[tuple[Any, ...]]) -> list[Instance]:
    return [Instance(kind, {}, args, 0, ("task", i, 1)) for i, args in enumerate(arguments)]


def ours(model: EditedModel, token_budget: int = 4096, cut_prompts: bool = False) -> EngineLM:
    engine = TorchEngine(WorkingMemory(most_tokens=token_budget))
    return EngineLM(model, engine, cut_prompts=cut_prompts)


@pytest.mark.parametrize(("batch_size", "token_budget"), [(1, 4096), (3, 64), (8, 1)])
@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral"])
def test_loglikelihoods_agree_with_hflm(family: str, batch_size: int, token_budget: int) -> None:
    model = EditedModel(tiny_language_model(family))
    requests = instances("loglikelihood", PAIRS)
    expected = peer(model, batch_size).loglikelihood(requests, disable_tqdm=True)
    got = ours(model, token_budget).loglikelihood(requests)
    assert [logprob for logprob, _ in got] == pytest.approx([logprob for logprob, _ in expected], abs=1e-4)
    assert [greedy for _, greedy in got] == [greedy for _, greedy in expected]


@pytest.mark.parametrize("length", [24, 256])
def test_rolling_loglikelihoods_agree_with_hflm(length: int) -> None:
    model = EditedModel(tiny_language_model("llama", max_position_embeddings=length))
    requests = instances("loglikelihood_rolling", [("Steve Jobs founded Apple. " * 9,), ("Moon",)])
    expected = peer(model, 2).loglikelihood_rolling(requests, disable_tqdm=True)
    assert ours(model).loglikelihood_rolling(requests) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_generations_agree_with_hflm(batch_size: int) -> None:
    model = EditedModel(tiny_language_model("llama"))
    lm = ours(model)
    free = lm.generate_until(instances("generate_until", [(p, {"max_gen_toks": 30}) for p in PROMPTS]))
    assert all(len(text) > 20 for text in free)
    stop = free[0][10:12]
    settings = {"until": [stop, "never said"], "max_gen_toks": 30, "do_sample": False}
    requests = instances("generate_until", [(prompt, settings) for prompt in PROMPTS])
    got = ours(model, token_budget=100).generate_until(requests)
    assert got == peer(model, batch_size).generate_until(requests, disable_tqdm=True)
    assert got[0] == free[0].split(stop)[0]


LONG = "He's sure they'll come; we've got bread, cheese and olives. "


def test_requests_that_are_too_long_are_rejected_and_recorded_with_their_length() -> None:
    model = EditedModel(tiny_language_model("llama", max_position_embeddings=20))
    lm = ours(model)
    n_prompt = len(model.base.tokenizer(LONG)["input_ids"])
    answers = lm.loglikelihood(instances("loglikelihood", [(LONG, "green"), ("Ada", " plays")]))
    assert answers[0] == (float("-inf"), False)
    assert math.isfinite(answers[1][0])
    settings = {"until": [], "max_gen_toks": 8}
    assert lm.generate_until(instances("generate_until", [(LONG, settings), ("Ada", settings)]))[0] == ""
    assert set(lm.too_long) == {(LONG, "green"), (LONG,)}
    assert lm.too_long[LONG,] == n_prompt + 7
    assert 20 < lm.too_long[LONG, "green"] < n_prompt + 7
    assert (lm.truncated, lm.nonfinite) == (set(), set())


def test_with_cut_prompts_they_are_truncated_on_the_left_and_recorded() -> None:
    model = EditedModel(tiny_language_model("llama", max_position_embeddings=20))
    pairs = [(LONG, "green"), ("Ada", " plays")]
    lm = ours(model, cut_prompts=True)
    requests = instances("loglikelihood", pairs)
    expected = peer(model, 1).loglikelihood(requests, disable_tqdm=True)
    assert [a for a, _ in lm.loglikelihood(requests)] == pytest.approx([a for a, _ in expected], abs=1e-4)
    assert lm.truncated == {LONG}

    lm = ours(model, cut_prompts=True)
    asked = instances("generate_until", [(LONG, {"until": [], "max_gen_toks": 8})])
    assert lm.generate_until(asked) == peer(model, 1).generate_until(asked, disable_tqdm=True)
    assert lm.truncated == {LONG}
    assert lm.too_long == {}


@pytest.mark.parametrize("cut_prompts", [False, True])
def test_an_answer_longer_than_the_context_is_rejected(cut_prompts: bool) -> None:
    model = EditedModel(tiny_language_model("llama", max_position_embeddings=8))
    lm = ours(model, cut_prompts=cut_prompts)
    long = ("Ada", " plays the cello" * 9)
    assert lm.loglikelihood(instances("loglikelihood", [long])) == [(float("-inf"), False)]
    assert set(lm.too_long) == {long}
    with pytest.raises(BadInputError, match="context of 8"):
        ours(model).generate_until(instances("generate_until", [("Ada", {"max_gen_toks": 8})]))


@pytest.mark.parametrize(
    "settings",
    [
        {"do_sample": True},
        {"temperature": 0.7},
        {"until": [], "num_beams": 4},
        {"do_sample": False, "num_beams": 4},
        {"top_k": 3},
        {"until": ["\n", ""]},
        {"until": ""},
    ],
)
def test_settings_other_than_greedy_are_rejected(edited: EditedModel, settings: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        ours(edited).generate_until(instances("generate_until", [("Ada", settings)]))


def test_sampling_settings_have_no_effect_without_sampling(edited: EditedModel) -> None:
    plain = {"until": [], "max_gen_toks": 6, "do_sample": False}
    sampling = {**plain, "temperature": 1.0, "top_p": 0.9, "top_k": 3, "num_beams": 1}
    texts = [
        ours(edited).generate_until(instances("generate_until", [("Ada", settings)]))
        for settings in (plain, sampling)
    ]
    assert texts[0] == texts[1] != [""]


class UpperCaseRouter:
    content_hash = "upper-case"

    def route(self, prompt: str) -> Routed:
        return Routed(prompt.upper())


def test_requests_are_routed_and_texts_are_not() -> None:
    base = tiny_language_model("llama")
    plain, routed = ours(EditedModel(base)), ours(EditedModel(base, routers=(UpperCaseRouter(),)))
    upper_case = [(context.upper(), continuation) for context, continuation in PAIRS]
    asked = instances("loglikelihood", PAIRS)
    assert routed.loglikelihood(asked) == plain.loglikelihood(instances("loglikelihood", upper_case))
    assert routed.loglikelihood(asked) != plain.loglikelihood(asked)
    settings = {"max_gen_toks": 12}
    assert routed.generate_until(instances("generate_until", [("Ada", settings)])) == plain.generate_until(
        instances("generate_until", [("ADA", settings)])
    )
    text = instances("loglikelihood_rolling", [("Ada plays the cello.",)])
    assert routed.loglikelihood_rolling(text) == plain.loglikelihood_rolling(text)


def test_nonfinite_answers_are_recorded(broken: Callable[[], EditedModel]) -> None:
    lm = ours(broken())
    assert lm.loglikelihood(instances("loglikelihood", [("Ada", " plays")])) == [(float("-inf"), False)]
    assert lm.generate_until(instances("generate_until", [("Tomas", {})])) == [""]
    assert lm.loglikelihood_rolling(instances("loglikelihood_rolling", [("Moon rises",)])) == [float("-inf")]
    assert lm.nonfinite == {"Ada", "Tomas", "Moon rises"}


@pytest.mark.parametrize("choice", ["", " ", "\n", " \t "])
@pytest.mark.parametrize("context", ["Who founded Apple?", ""])
def test_an_empty_choice_fails_alone(edited: EditedModel, choice: str, context: str) -> None:
    lm = ours(edited)
    asked = [(context, choice), ("Who founded Apple?", " A"), ("", "Water runs")]
    answers = lm.loglikelihood(instances("loglikelihood", asked))
    assert answers[0] == (-math.inf, False)
    assert all(math.isfinite(logprob) for logprob, _ in answers[1:])
    assert lm.failed == {(context, choice): "BadInputError: The choice is empty."}
