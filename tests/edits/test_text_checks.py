"""The checks of texts: lengths, special tokens, and the boundary between prompt and answer."""

from __future__ import annotations

from typing import Any

import pytest
from transformers import AddedToken, PreTrainedTokenizerFast

from sequela.edits import Edit, Finding, FindingKind, Probe, check_edits
from sequela.edits.text_checks import is_joined_without_space, special_token_in
from support.tokenizers import byte_level


def edit(id_: str = "a", **changes: Any) -> Edit:
    fields = {"id": id_, "subject": "France", "prompt": "The capital of {} is", "target_new": "Rome"}
    return Edit.model_validate({**fields, **changes})


def found(
    one: Edit, kind: FindingKind, tokenizer: PreTrainedTokenizerFast | None = None, **limits: int
) -> Finding | None:
    return {each.kind: each for each in check_edits([one], tokenizer, **limits)}.get(kind)


@pytest.mark.parametrize(
    "text",
    [
        *("<|endoftext|>", "<|im_end|>", "is <|im_start|>assistant", "</s>", "<s>", "<eos>", "[INST]"),
        *("<unk>", "<start_of_turn>", "[MASK]", "<｜end▁of▁sentence｜>"),
    ],
)
def test_without_a_tokenizer_the_special_tokens_of_common_ones_are_found(text: str) -> None:
    assert special_token_in(None)(text)
    for changes in (
        {"target_true": text},
        {"target_new": text},
        {"subject": text},
        {"prompt": f"{text} of {{}}"},
        {"paraphrases": (text,)},
        {"neighborhood": (Probe(prompt="Peru", answer=text),)},
        {"portability": (Probe(prompt=f"Q {text}", answer="x"),)},
    ):
        finding = found(edit(**changes), FindingKind.SPECIAL_TOKEN)
        assert finding is not None, changes
        assert (finding.count, finding.of) == (1, 1)


@pytest.mark.parametrize("text", ["a < b | c > d", "<b>bold</b>", "[1]", "x <| y", "|>", "s", "<Rome>"])
def test_other_texts_are_no_special_tokens(text: str) -> None:
    assert special_token_in(None)(text) == ""


def test_with_a_tokenizer_its_own_special_tokens_are_found() -> None:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=byte_level().backend_tokenizer, eos_token="<|end|>")
    tokenizer.add_tokens([AddedToken("<tool>", special=True), AddedToken("grandmother", special=False)])
    find = special_token_in(tokenizer)
    assert find("a <tool> b") == "<tool>"
    assert find("the <|end|>") == "<|end|>"
    assert find("grandmother </s>") == ""
    assert found(edit(target_true="<tool>"), FindingKind.SPECIAL_TOKEN, tokenizer) is not None


@pytest.mark.parametrize("space", [" ", "\n", "\t", "\u00a0", "  "])
def test_prompts_that_end_in_a_space_are_found(space: str) -> None:
    one = edit(
        prompt=f"The capital of {{}} is{space}",
        paraphrases=(f"France is ruled from{space}", "France is ruled from"),
        neighborhood=(Probe(prompt=f"Peru{space}"),),
        portability=(Probe(prompt=f"Its river{space}", answer="Seine"),),
    )
    finding = found(one, FindingKind.TRAILING_SPACE)
    assert finding is not None
    assert (finding.count, finding.of, finding.edit_ids) == (4, 5, ("a",))


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("法国的首都是", "罗马"),
        ("フランスの首都は", "ローマ"),
        ("เมืองหลวงคือ", "โรม"),
        ("它的首都是：", "Rome"),
        ("「", "罗马"),
        ("The ticket costs $", "18"),
        ("The ticket costs €", "18"),
        ("France (", "Europe"),
        ("see [", "1"),
        ('They call it "', "Rome"),
        ("They call it “", "Rome"),
        ("It is called '", "Rome"),
        ("the Franco-", "Italian"),
        ("and/", "or"),
        ("Rome", ", Italy"),
        ("about 5", "%"),
        ("(Rome", ")"),
    ],
)
def test_an_answer_that_follows_without_a_space_is_found(prompt: str, answer: str) -> None:
    assert is_joined_without_space(prompt, answer)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("The capital of France is", "Rome"),
        ("The Chinese name of France is", "法国"),
        ('He said "yes" and "', ""),
        ('They call the "city"', "Rome"),
        ("the players'", "club"),
        ("The capital is:", "Rome"),
        ("서울의 이름은", "서울"),
        ("Столица Франции —", "Рим"),
        ("What is the capital?", "Rome"),
        ("costs $ ", "18"),
        ("It is (big)", "Rome"),
        ("in", ".NET"),
    ],
)
def test_an_answer_after_a_space_is_not(prompt: str, answer: str) -> None:
    assert not is_joined_without_space(prompt, answer)


def test_joins_without_a_space_are_counted_by_prompt() -> None:
    one = edit(
        prompt="{} costs $",
        target_true="20",
        paraphrases=("The price of France is",),
        neighborhood=(Probe(prompt="Peru costs $"), Probe(prompt="Chile costs $", answer="3")),
    )
    finding = found(one, FindingKind.UNSPACED_JOIN)
    assert finding is not None
    assert (finding.count, finding.of) == (2, 4)  # nothing is appended to a prompt without an answer


def test_answers_longer_than_free_decoding_are_counted_by_kind() -> None:
    tokenizer = byte_level()
    long = "the lighthouse keeper of Marrow Point"
    limit = len(tokenizer.encode(f" {long}")) - 1
    one = edit(
        target_new=long,
        neighborhood=(
            Probe(prompt="Peru", answer=long),
            Probe(prompt="Chile", answer="x"),
            Probe(prompt="Oman"),
        ),
        portability=(Probe(prompt="Its river", answer=long),),
    )
    kinds = [
        FindingKind.LONG_TARGET,
        FindingKind.LONG_NEIGHBORHOOD_ANSWER,
        FindingKind.LONG_PORTABILITY_ANSWER,
    ]
    findings = [found(one, kind, tokenizer, max_new_tokens=limit) for kind in kinds]
    assert [(each.count, each.of) for each in findings if each] == [(1, 1), (1, 2), (1, 1)]
    assert all(found(one, kind, tokenizer, max_new_tokens=limit + 1) is None for kind in kinds)
    assert all(found(one, kind, max_new_tokens=limit) is None for kind in kinds)
