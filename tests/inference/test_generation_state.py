"""When a text ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.core.errors import SequelaError
from sequela.edited.protocols import Route
from sequela.edited.thinking import Thinking
from sequela.inference import Generation, GenerationRequest
from sequela.inference.generation_state import GenerationState
from sequela.inference.vllm.decoding import ended
from sequela.models import LanguageModel
from support.thinking import tokenizer_that_thinks
from support.tiny import tiny_language_model, tiny_module


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


@pytest.fixture(scope="module", params=["letters", "tokens", "control tokens"])
def thinker(request: pytest.FixtureRequest) -> LanguageModel:
    """A model whose marks of thoughts are several tokens, one token, or a control token."""
    if request.param == "letters":
        return tiny_language_model("llama")
    tokenizer = tokenizer_that_thinks(special=request.param == "control tokens")
    return LanguageModel.wrap(tiny_module("llama", vocab_size=len(tokenizer)), tokenizer, "thinker")


def thinking_request(
    model: LanguageModel, *, opened: bool = False, thinking: int = 60, answer: int = 60, stop: str = "\n"
) -> GenerationRequest:
    added = {
        str(token): number for number, token in model.tokenizer.added_tokens_decoder.items() if token.special
    }
    ids = frozenset(added[mark] for mark in ("<think>", "</think>") if mark in added)
    route = Route(thinking=Thinking("<think>", "</think>", opened, thinking, ids))
    return GenerationRequest((1,), answer, (stop,) if stop else (), route)


def taken(model: LanguageModel, request: GenerationRequest, text: str) -> Generation:
    """Returns the answer of a model that says a text, token by token."""
    state = GenerationState(0, request)
    for token in model.tokenizer(text, add_special_tokens=False)["input_ids"]:
        state.take(model, token, True)
        if state.ended_by:
            break
    else:
        state.take(model, next(iter(model.end_ids)), True)
    return state.answer(model)


@pytest.mark.parametrize(
    ("opened", "text", "thinking", "answer", "ended_by"),
    [
        (
            False,
            "<think>The answer is A?\nNo.</think>\n\nB\nC",
            "<think>The answer is A?\nNo.</think>\n\n",
            "B",
            "stop",
        ),
        (True, "The answer is A?\nNo.</think>\n\nB\nC", "The answer is A?\nNo.</think>\n\n", "B", "stop"),
        (False, "\n<think>\n\n</think>\n\nB\n", "\n<think>\n\n</think>\n\n", "B", "stop"),
        (False, "B\n<think>", "", "B", "stop"),
        (False, "<think", "", "<think", "end"),
        (False, "<thin\n", "", "<thin", "stop"),
        (True, "</think>", "</think>", "", "end"),
    ],
)
def test_no_stop_string_ends_a_thought(
    opened: bool, text: str, thinking: str, answer: str, ended_by: str, thinker: LanguageModel
) -> None:
    found = taken(thinker, thinking_request(thinker, opened=opened), text)
    assert (found.thinking, found.text, found.ended_by) == (thinking, answer, ended_by)
    assert found.unfinished_thinking is None


@pytest.mark.parametrize("opened", [True, False])
def test_an_unfinished_thought_is_no_answer(opened: bool, thinker: LanguageModel) -> None:
    text = f"{'' if opened else '<think>'}The answer is A.\n\nSo it is A."
    found = taken(thinker, thinking_request(thinker, opened=opened), text)
    assert (found.text, found.thinking, found.ended_by) == ("", text, "end")
    assert found.unfinished_thinking == len(found.ids)


@pytest.mark.parametrize("opened", [True, False])
def test_thinking_has_a_limit_of_its_own(opened: bool, thinker: LanguageModel) -> None:
    text = f"{'' if opened else '<think>'}{'The answer is A. ' * 9}"
    request = thinking_request(thinker, opened=opened, thinking=12, answer=5)
    found = taken(thinker, request, text)
    assert (found.ended_by, found.unfinished_thinking, len(found.ids)) == ("length", 12, 12)
    assert request.max_tokens == 17


def test_an_answer_is_as_long_with_thinking_as_without(thinker: LanguageModel) -> None:
    """The white space between a thought and its answer is not a part of the answer."""
    plain = taken(thinker, thinking_request(thinker, answer=5), "The answer is A, of course.")
    request = thinking_request(thinker, answer=5)
    found = taken(thinker, request, "<think>Is it A?</think>\n\nThe answer is A, of course.")
    assert found.text == plain.text != ""
    assert found.ended_by == plain.ended_by == "length"


def test_white_space_after_a_thought_has_a_limit(thinker: LanguageModel) -> None:
    found = taken(thinker, thinking_request(thinker, thinking=30, answer=5), "<think></think>" + " \n" * 60)
    assert (found.text, found.ended_by, len(found.ids)) == ("", "length", 35)


def test_a_thought_of_a_model_whose_prompt_closes_it_is_no_answer(thinker: LanguageModel) -> None:
    found = taken(thinker, thinking_request(thinker, thinking=0), "<think>The answer is A.</think>B")
    assert (found.text, found.ended_by) == ("", "length")
    assert found.unfinished_thinking is not None


@settings(max_examples=60)
@given(
    text=st.lists(
        st.sampled_from(["<think>", "</think>", "A", " B", "\n", "<", "</thin", "."]), max_size=9
    ).map("".join),
    opened=st.booleans(),
)
def test_the_text_is_divided_as_a_whole(text: str, opened: bool) -> None:
    """Token by token, the text is divided as the finished text is, and is never longer than allowed."""
    model = tiny_language_model("llama")
    request = thinking_request(model, opened=opened, thinking=12, answer=4, stop="")
    found = taken(model, request, text)
    said = model.tokenizer.decode(found.ids)
    start = Thinking("<think>", "</think>", opened, 12).answer_start(said)
    assert found.thinking + found.text == said
    assert (found.unfinished_thinking is None) == (start is not None)
    assert found.text == ("" if start is None else said[start:])
    assert len(found.ids) <= request.max_tokens
