"""When a text ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.core.errors import SequelaError
from sequela.inference import Generation, GenerationRequest
from sequela.inference.generation_state import GenerationState
from sequela.inference.vllm.decoding import ended
from sequela.models import LanguageModel
from support.tiny import tiny_language_model


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return tiny_language_model("llama")


def said(model: LanguageModel, text: str, *stop: str) -> Generation:
    """Returns the answer of a model that says a text, token by token."""
    ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    state = GenerationState(0, GenerationRequest((1,), len(ids) + 1, stop))
    for token in ids:
        state.take(model, token, True)
        if state.ended_by:
            return state.answer(model)
    state.take(model, next(iter(model.end_ids)), True)
    return state.answer(model)


@pytest.mark.parametrize(
    ("text", "stop", "answer", "ended_by"),
    [
        ("\nB\nC", ["\n"], "\nB", "stop"),
        ("\n\nB\n\nC", ["\n\n"], "\n\nB", "stop"),
        ("\n \n B\nC", ["\n"], "\n \n B", "stop"),
        (" B C", [" "], " B", "stop"),
        ("B\nC", ["\n"], "B", "stop"),
        ("\n\n\n", ["\n"], "\n\n\n", "end"),
        ("\nQ: more", ["\nQ:"], "", "stop"),  # not within the white space: the next question begins
        ("\n\nQ: more", ["\nQ:"], "\n", "stop"),
        ("\nB\nQ: more", ["\n\n", "\nQ:"], "\nB", "stop"),
        ("one two\nthree", ["two", "\n"], "one ", "stop"),
        ("B", [], "B", "end"),
    ],
)
def test_a_stop_string_within_leading_white_space_does_not_end_a_text(
    text: str, stop: list[str], answer: str, ended_by: str, model: LanguageModel
) -> None:
    found = said(model, text, *stop)
    assert (found.text, found.ended_by) == (answer, ended_by)


@given(text=st.text("ab\n ", max_size=12), stop=st.text("ab\n ", min_size=1, max_size=3))
def test_the_text_before_a_stop_string_is_the_shortest_with_an_answer(text: str, stop: str) -> None:
    model = tiny_language_model("llama")
    if not text:
        return
    answer = said(model, text, stop).text
    start = len(text) - len(text.lstrip())
    places = [i for i in range(len(text)) if text.startswith(stop, i) and i + len(stop) > start]
    assert answer == (text[: places[0]] if places else text)


def test_vllm_goes_on_after_a_stop_within_leading_white_space(model: LanguageModel) -> None:
    request = GenerationRequest((1,), 9, ("\n",))
    tokens = [(token, -0.5) for token in model.tokenizer("\nB\n", add_special_tokens=False)["input_ids"]]
    assert ended(model, request, tokens[:1]) is None
    found = ended(model, request, tokens)
    assert found is not None
    assert (found.text, found.ended_by) == ("\nB", "stop")


def test_an_empty_stop_string_is_an_error() -> None:
    with pytest.raises(SequelaError, match="A stop string is empty"):
        GenerationRequest((1,), 3, ("\n", ""))
