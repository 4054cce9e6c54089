"""Text is text: only the control tokens of a chat template are control tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from sequela.models import tokenize_prompt
from sequela.models.control_tokens import (
    encode_text,
    is_control_token,
    mark_control_tokens,
    without_marks,
)
from support.tokenizers import byte_level, composing, sentencepiece

KINDS = {"byte_level": byte_level, "composing": composing, "sentencepiece": sentencepiece}


def end_of(tokenizer: PreTrainedTokenizerBase) -> str:
    return str(tokenizer.eos_token)


@pytest.mark.parametrize("kind", KINDS)
def test_a_quoted_control_token_is_text(kind: str) -> None:
    tokenizer = KINDS[kind]()
    end = end_of(tokenizer)
    encoded = encode_text(tokenizer, f"Who wrote {end}?")
    assert tokenizer.eos_token_id not in encoded.ids
    assert end in tokenizer.decode(encoded.ids)
    assert (
        tokenizer(f"Who wrote {end}?")["input_ids"].count(tokenizer.eos_token_id) == 1
    )  # unchanged for others
    assert tokenizer.eos_token_id not in encode_text(tokenizer, f"Who wrote {end}?").ids


@pytest.mark.parametrize("kind", KINDS)
def test_subject_and_target_may_quote_a_control_token(kind: str) -> None:
    tokenizer = KINDS[kind]()
    end = end_of(tokenizer)
    found = tokenize_prompt(tokenizer, "The token {} ends with", end, f"the {end}")
    assert tokenizer.eos_token_id not in found.ids
    assert found.subject is not None
    assert end in tokenizer.decode(found.ids[found.subject.start : found.subject.stop])
    assert tokenizer.decode(found.target_ids).strip() == f"the {end}"


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text("Who wrote it?\nété東 ", max_size=20))
def test_other_texts_are_tokenized_as_before(kind: str, text: str) -> None:
    tokenizer = KINDS[kind]()
    plain = tokenizer(text, return_offsets_mapping=True)
    encoded = encode_text(tokenizer, text)
    assert list(encoded.ids) == plain["input_ids"]
    assert [tuple(place) for place in plain["offset_mapping"]] == list(encoded.offsets)


@pytest.mark.parametrize("kind", KINDS)
def test_marked_control_tokens_are_real_and_quoted_ones_beside_them_are_not(kind: str) -> None:
    tokenizer = KINDS[kind]()
    end = end_of(tokenizer)
    template = mark_control_tokens(tokenizer, f"{end}\n")
    only = encode_text(tokenizer, f"{template}Who?{template}")
    assert list(only.ids) == tokenizer(f"{end}\nWho?{end}\n")["input_ids"]
    both = encode_text(tokenizer, f"{template}Who wrote {end}?{template}")
    assert both.ids.count(tokenizer.eos_token_id) == 2
    assert both.text == f"{end}\nWho wrote {end}?{end}\n"
    found = tokenize_prompt(tokenizer, f"{template}Who wrote {{}}?{template}", end, f"a {end}")
    assert found.ids.count(tokenizer.eos_token_id) == 2
    assert found.text == f"{end}\nWho wrote {end}?{end}\na {end}"
    assert found.subject is not None
    assert end in tokenizer.decode(found.ids[found.subject.start : found.subject.stop])
    assert tokenizer.decode(found.target_ids).strip() == f"a {end}"
    if tokenizer.bos_token_id is not None:
        assert found.ids.count(tokenizer.bos_token_id) == 1


@pytest.mark.parametrize("text", [" <|end|>\n", "<|end|>", "<|end|><|end|>", "<|end|> <|end|>.", "“<|end|>”"])
def test_control_tokens_alone_are_no_answer(text: str) -> None:
    assert is_control_token(byte_level(), text)


@pytest.mark.parametrize("text", ["the <|end|>", "<|end|>5", "", " ", "!!!", "<|END|>", "<|end", "C++"])
def test_other_texts_are_answers(text: str) -> None:
    assert not is_control_token(byte_level(), text)


def test_marks_are_removed() -> None:
    tokenizer = byte_level()
    assert without_marks(mark_control_tokens(tokenizer, "a <|end|> b")) == "a <|end|> b"
