"""Multiple choice by likelihood: scores, answers and ties."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sequela.core.errors import BadInputError
from sequela.edited import EditedModel
from sequela.evaluation.multiple_choice import (
    MultipleChoiceItem,
    accuracy_result,
    chance_level,
    choose,
    read_items,
    score_choices,
    score_item,
)
from sequela.inference import Score, TorchEngine
from sequela.models import LanguageModel
from support.tiny import tiny_language_model

ITEM = MultipleChoiceItem(
    id="q-1", prompt="The capital of France is", choices=("Paris", "Rome", "Lisbon"), answer=0
)


def scores(*logprobs: float) -> tuple[Score, ...]:
    return tuple(Score((logprob,), (False,), True) for logprob in logprobs)


def records_of(model: LanguageModel, *items: MultipleChoiceItem):
    found = score_choices(EditedModel(model), TorchEngine(), items)
    return [score_item("builtin", "quiz", item, some) for item, some in zip(items, found, strict=True)]


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_score_is_the_sum_of_the_choice_s_token_logprobs_after_one_space(family: str) -> None:
    model = tiny_language_model(family)
    (found,) = score_choices(EditedModel(model), TorchEngine(), [ITEM])
    n_prompt = len(model.tokenizer(ITEM.prompt)["input_ids"])
    for choice, score in zip(ITEM.choices, found, strict=True):
        ids = torch.tensor([model.tokenizer(f"{ITEM.prompt} {choice}")["input_ids"]])
        logprobs = model.module(ids).logits[0].log_softmax(-1)
        expected = sum(float(logprobs[i - 1, ids[0, i]]) for i in range(n_prompt, ids.shape[1]))
        assert score.logprob == pytest.approx(expected, abs=1e-4)


def test_the_best_choice_is_the_answer() -> None:
    assert score_item("s", "t", ITEM, scores(-1.0, -2.0, -3.0)).value == 1.0
    wrong = score_item("s", "t", ITEM, scores(-2.0, -1.0, -3.0))
    assert (wrong.value, wrong.answer, wrong.expected) == (0.0, "Rome", "Paris")
    assert wrong.details["margin"] == -1.0
    assert wrong.details["logprobs"] == [-2.0, -1.0, -3.0]


def test_a_tie_for_the_best_is_wrong_and_reported() -> None:
    tied = score_item("s", "t", ITEM, scores(-1.0, -1.0, -3.0))
    assert (tied.value, tied.answer, tied.finite, tied.details["tie"]) == (0.0, "", True, True)
    clear = score_item("s", "t", ITEM, scores(-1.0, -2.0, -2.0))
    assert clear.details["tie"] is False
    result = accuracy_result([tied, clear.model_copy(update={"item": "q-2"})], "chance 0.33")
    assert result.value == 0.5
    assert result.note == "chance 0.33; items with a tie for the best choice, counted as wrong: 1"


def test_a_model_with_equal_logits_everywhere_scores_zero() -> None:
    model = tiny_language_model("llama", tie_word_embeddings=False)
    with torch.no_grad():
        model.module.lm_head.weight.zero_()
    letters = [
        MultipleChoiceItem(id=f"q-{right}", prompt="The answer is", choices=("!", "?", "."), answer=right)
        for right in range(3)
    ]
    result = accuracy_result(records_of(model, *letters))
    assert (result.value, result.n_nonfinite) == (0.0, 0)
    assert all(record.details["tie"] for record in result.items)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_answers_of_a_model_with_a_nonfinite_weight_are_wrong_and_counted(value: float) -> None:
    model = tiny_language_model("llama")
    with torch.no_grad():
        model.mlp_out_weight(1)[0, 0] = value
    items = [ITEM.model_copy(update={"id": f"q-{right}", "answer": right}) for right in range(3)]
    result = accuracy_result(records_of(model, *items))
    assert (result.value, result.n, result.n_nonfinite) == (0.0, 3, 3)
    for record in result.items:
        assert (record.finite, record.answer, record.details["margin"]) == (False, "", None)
        assert record.details["logprobs"] == [None, None, None]
        record.model_dump_json()


def test_an_item_longer_than_the_context_is_wrong_and_counted_separately() -> None:
    model = tiny_language_model("llama", max_position_embeddings=24)
    prompt = "He's sure they'll come; we've got bread, cheese and olives." * 3
    long = ITEM.model_copy(update={"id": "q-2", "prompt": prompt})
    short, too_long = records_of(model, ITEM, long)
    length = max(len(model.tokenizer(f"{prompt} {choice}")["input_ids"]) - 1 for choice in ITEM.choices)
    assert (short.finite, short.too_long) == (True, None)
    assert (too_long.value, too_long.answer, too_long.finite, too_long.too_long) == (0.0, "", True, length)
    assert (too_long.details["tie"], too_long.details["margin"]) == (False, None)
    result = accuracy_result([short, too_long], "chance 0.33")
    assert (result.n, result.n_too_long, result.n_nonfinite) == (2, 1, 0)
    assert f"not run and counted as 0: 1 ({length} tokens)" in result.note


def test_an_item_with_a_nonfinite_score_has_no_answer() -> None:
    assert choose((-1.0, math.nan, -2.0)) is None
    assert choose((-1.0, -math.inf, -2.0)) is None
    assert choose((-1.0, -1.5, -2.0)) == 0


@given(st.lists(st.floats(-100, 0), min_size=2, max_size=5, unique=True), st.randoms())
def test_the_answer_follows_the_choice_not_its_position(scores: list[float], random) -> None:
    order = list(range(len(scores)))
    random.shuffle(order)
    before, after = choose(scores), choose([scores[i] for i in order])
    assert before is not None
    assert after is not None
    assert order[after] == before


def test_chance_is_the_mean_over_items() -> None:
    two = MultipleChoiceItem(id="q-2", prompt="p", choices=("a", "b"), answer=1)
    four = MultipleChoiceItem(id="q-3", prompt="p", choices=("a", "b", "c", "d"), answer=1)
    assert chance_level([two, four, four, four]) == pytest.approx((0.5 + 3 * 0.25) / 4)


@pytest.mark.parametrize(
    "changes",
    [{"answer": 3}, {"answer": -1}, {"choices": ("Paris",)}, {"choices": ("a", "a", "b")}, {"prompt": ""}],
)
def test_an_invalid_item_is_rejected(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MultipleChoiceItem.model_validate({**ITEM.model_dump(), **changes})


def test_an_invalid_line_is_named_by_file_and_number(tmp_path: Path) -> None:
    path = tmp_path / "quiz.jsonl"
    path.write_text(f'{ITEM.model_dump_json()}\n{{"id": "q-2", "prompt": "p", "answer": 0}}\n')
    with pytest.raises(BadInputError, match=r"quiz\.jsonl, line 2: the field 'choices' is missing"):
        read_items(path)


def test_an_id_may_not_be_used_twice(tmp_path: Path) -> None:
    path = tmp_path / "quiz.jsonl"
    path.write_text(f"{ITEM.model_dump_json()}\n{ITEM.model_dump_json()}\n")
    with pytest.raises(BadInputError, match="'q-1' is used more than once"):
        read_items(path)
