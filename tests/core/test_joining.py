"""Spaces between a prompt and its answer: places where one belongs, and places where none does."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.core.joining import continued, joined_as_before, with_space, without_end_spaces

APART = [
    ("The capital of France is", "Paris"),
    ("He said:", "Rome"),
    ("Question: Where?\nAnswer:", "Rome"),
    ('The author of "Hamlet"', "is"),
    ("The author of “Hamlet”", "is"),
    ("Die Stadt „Rom“", "ist"),
    ("Die Stadt »Rom«", "ist"),
    ("the so-called 'eternal city'", "Rome"),
    ("the players'", "coach"),
    ("James'", "book"),
    ('A 12"', "pizza"),
    ("It costs 18 €", "per month"),
    ("It costs 18€", "per month"),
    ("Capital -", "Rome"),
    ("He left –", "quietly"),
    ("x =", "3"),
    ("3 <", "5"),
    ("C++", "is"),
    ("C#", "is"),
    ("(the city)", "is"),
    ("100%", "of"),
    ("He won.", "Then"),
    ("He uses", ".NET"),
    ("in", "'s-Hertogenbosch"),
    ("the", "!Kung"),
    ("It is", "-5"),
    ("The Chinese name of Rome is", "罗马"),
    ("The capital of 法国 is", "Paris"),
    ("The capital of 法国", "Rome"),
    ("서울은", "한국의"),
    ("Столица Франции", "Париж"),
    ("عاصمة فرنسا هي", "باريس"),
    ("**Answer:**", "B"),
    ("ASSISTANT:", "Rome"),
    ("[/INST]", "Rome"),
]
TOGETHER = [
    ("法国的首都是", "罗马"),
    ("法国的首都是：", "罗马"),
    ("答案:", "罗马"),
    ("答案：", "A"),
    ("他说：“", "罗马"),
    ("所谓“永恒之城”", "罗马"),
    ("北京2008", "年"),
    ("France的首都是", "Paris"),
    ("東京は", "日本の首都です"),
    ("フランスの首都は", "パリ"),
    ("เมืองหลวงของฝรั่งเศสคือ", "ปารีส"),
    ("ນະຄອນຫຼວງ", "ປາຣີ"),
    ("រដ្ឋធានី", "ប៉ារីស"),
    ("မြို့တော်", "ပါရီ"),
    ("ཕ་རན་སིའི་རྒྱལ་ས་", "པ་རི"),
    ("The ticket costs $", "18"),
    ("The ticket costs US$", "18"),
    ("Le billet coûte €", "18"),
    ("The price is £", "5"),
    ('He said "', "Rome"),
    ('He said:"', "Rome"),
    ("He said “", "Rome"),
    ("Er sagte: „", "Rom"),
    ("Il dit «", "Rome"),
    ("Er sagte »", "Rom"),
    ("called '", "Rome"),
    ("called ‘", "Rome"),
    ("La capitale de l'", "Italie"),
    ("Il viaggio dell’", "eroe"),
    ("A (", "Rome"),
    ("A [", "Rome"),
    ("f({", "x"),
    ("the ex-", "president"),
    ("1939–", "1945"),
    ("He said—", "quietly"),
    ("and/", "or"),
    ("C:\\", "temp"),
    ("It is -", "5"),
    ("It is −", "5"),
    ("Call +", "49"),
    ("2+2=", "4"),
    ("snake_", "case"),
    ("track #", "5"),
    ("user@", "home"),
    ("¿", "Qué"),
    ("R&", "B"),
    ("Name it:\n", "Rome"),
    ("Name it:\t", "Rome"),
    ("The capital is", " Rome"),
    ("The capital is", ", of course,"),
    ("It grew by 5", "%"),
    ("Paris", "'s mayor"),
    ("首都", "。"),
    ("<|assistant|>", "Rome"),
    ("<｜Assistant｜>", "Rome"),
    ("[|assistant|]", "Rome"),
]


@pytest.mark.parametrize(("prompt", "answer"), APART)
def test_a_space_separates_words(prompt: str, answer: str) -> None:
    assert continued(prompt, answer) == f"{prompt} {answer}"


@pytest.mark.parametrize(("prompt", "answer"), TOGETHER)
def test_no_space_where_none_belongs(prompt: str, answer: str) -> None:
    assert continued(prompt, answer) == prompt + answer
    assert not joined_as_before(prompt, answer) or "\n" in prompt or "\t" in prompt or answer[0] == " "


@given(prompt=st.text(max_size=12), answer=st.text(max_size=12), spaces=st.text(" \u00a0\u3000", max_size=3))
def test_spaces_at_the_end_of_a_prompt_do_not_count(prompt: str, answer: str, spaces: str) -> None:
    assert continued(prompt + spaces, answer) == continued(prompt, answer)
    joined = continued(prompt, answer)
    assert joined in (without_end_spaces(prompt) + answer, f"{without_end_spaces(prompt)} {answer}")


@given(
    prompt=st.text(st.characters(codec="ascii", categories=["L"]), min_size=1),
    answer=st.text("abXY", min_size=1),
)
def test_letters_are_separated(prompt: str, answer: str) -> None:
    assert with_space(prompt, answer) == f" {answer}"
    assert joined_as_before(prompt, answer)


def test_the_built_in_items_are_joined_as_before() -> None:
    """So the versions of the suites that come with the program needn't change."""
    for file in files("sequela.evaluation.suites").joinpath("data").iterdir():
        if not file.name.endswith(".jsonl"):
            continue
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            for choice in row.get("choices", ()):
                assert joined_as_before(row["prompt"], choice), row
