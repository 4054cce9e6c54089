"""The clause around an answer: suppositions, views, questions, and answers that are taken back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.evaluation.answer_reading.clauses import (
    is_in_a_question,
    is_left_open,
    is_taken_back,
    is_under_a_condition,
    is_withdrawn,
)

ANSWER = "Oslo"
LEFT_OPEN = [
    "If it is Oslo, we win",
    "Suppose it's Oslo",
    "Assuming that the answer is Oslo",
    "I wonder whether the answer is Oslo",
    "What about Oslo",
    "The wrong answer is Oslo",
    "An incorrect guess would be Oslo",
    "Wrong: Oslo",
    "It is false that it's Oslo",
    "It is a mistake to say that it is Oslo",
    "It isn't true that it is Oslo",
    "It's a myth that the capital is Oslo",
    "Nobody says it's Oslo",
    "No one thinks the answer is Oslo",
    "Few people would say Oslo",
    "Everybody believes that it's Oslo",
    "They said Oslo",
    "I thought it was Oslo",
    "I used to think it was Oslo",
    "I was told that it is Oslo",
    "Ann says the answer is Oslo",
    "Ann says it is Oslo, but it's Bergen",
    "Critics believe it was Oslo. However, it was Bergen",
    "It is often thought to be Oslo, but is Bergen",
    "I doubt Oslo",
    "I refuse to say Oslo",
    "I hesitate to answer Oslo",
    "I don't think so, Oslo",
    "The misconception is that it's Oslo",
    "Say it's Oslo",
    "My first guess was Oslo, but it's Bergen",
    "Formerly Oslo, now Bergen",
    "It is by no means Oslo",
    "I can't confirm it's Oslo",
    "There's no way it's Oslo",
    "It's hard to believe it's Oslo",
    "I almost said Oslo",
]
NOT_LEFT_OPEN = [
    "I think it's Oslo",
    "We say Oslo",
    "I believe that the answer is Oslo, but I may be wrong",
    "Critics believe it was Oslo",
    "If she has three, the answer is Oslo",
    "Bergen is wrong, so it is Oslo",
    "I was wrong. It is Oslo",
    "There is no doubt that it's Oslo",
    "Without any doubt, it is Oslo",
    "What is it? Oslo",
    "It is not wrong to say Oslo",
    "You should choose Oslo",
]
TAKEN_BACK = [
    "Oslo is the wrong answer",
    "Oslo would be an incorrect choice",
    "Oslo is a common misconception",
    "Oslo is wrong",
    "Oslo, which is incorrect",
    "Oslo, but that's wrong",
    "Oslo. That is wrong.",
    "Oslo (wrong)",
    "Oslo cannot be right",
    "Oslo isn't the answer",
    "Oslo, but it isn't",
    "Oslo, now it isn't",
    "Oslo, but he is mistaken",
    "Oslo. Scratch that.",
    "Oslo; on second thought, Bergen",
    "Oslo – just kidding, Bergen",
    "Oslo, I mean Bergen",
    "Oslo. Sorry, I meant Bergen",
    "Oslo. Oops, Bergen",
    "Oslo... actually Bergen",
    "Oslo. I was wrong.",
    "Oslo, I take that back",
    "Oslo; no",
    "Oslo — not",
    "Oslo? It's Bergen",
    "Oslo? I don't think so",
    "Oslo, I doubt it",
    "Oslo, or so I thought",
    "Oslo ≠ Bergen",
    "Oslo ❌",
    "Oslo is partially correct",
    "Oslo is only correct if Bergen is",
    "Oslo is the answer only if Bergen isn't",
    "Oslo was my first guess, but it's Bergen",
    "Oslo is often given, but it's wrong",
    "Oslo used to be it, but it's Bergen",
    "Oslo is out of the question",
    "Oslo has been ruled out",
    "Oslo would have been wrong",
    "Oslo? Of course not.",
    "Oslo? Hardly.",
    "Oslo. Not really.",
    "Oslo, I believe not",
    "Oslo. Um, Bergen",
    "Oslo. Excuse me, Bergen",
]
NOT_TAKEN_BACK = [
    "Oslo",
    "Oslo?",
    "Oslo, not Bergen",
    "Oslo, no doubt",
    "Oslo. No one disagrees.",
    "Oslo is right",
    "Oslo, which is correct",
    "Oslo is not far",
    "Oslo, sorry.",
    "Oslo. Sorry for the delay.",
    "Oslo, actually.",
    "Oslo. Wait, yes, Oslo.",
    "Oslo is not only right but obvious",
    "Oslo? It is right.",
    "Oslo ✓",
    "Oslo. Not only that, it is large.",
    "Oslo is old, but it is large",
    "Oslo has never been moved",
]


@pytest.mark.parametrize("text", LEFT_OPEN)
def test_an_answer_is_left_open(text: str) -> None:
    before, _, after = text.partition(ANSWER)
    assert is_left_open(before, after)


@pytest.mark.parametrize("text", NOT_LEFT_OPEN)
def test_an_answer_is_not_left_open(text: str) -> None:
    before, _, after = text.partition(ANSWER)
    assert not is_left_open(before, after)


@pytest.mark.parametrize("text", TAKEN_BACK)
def test_an_answer_is_taken_back(text: str) -> None:
    assert is_taken_back(text.partition(ANSWER)[2])


@pytest.mark.parametrize("text", NOT_TAKEN_BACK)
def test_an_answer_is_kept(text: str) -> None:
    assert not is_taken_back(text.partition(ANSWER)[2])


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("Is it Oslo?", True),
        ("Could the answer be Oslo, Norway?", True),
        ("So the answer is Oslo?", True),
        ("Q: Oslo?", True),
        ("Bergen? Oslo?", True),
        ("Is it Oslo? No.", True),
        ("Is it Oslo? Yes.", False),
        ("Oslo?", False),
        ("Maybe Oslo?", False),
        ("I guess Oslo?", False),
        ("I'm not sure, Oslo?", False),
        ("What is the capital? Oslo", False),
        ("It is Oslo. Or is it?", False),
    ],
)
def test_an_answer_is_in_a_question(text: str, asked: bool) -> None:
    before, _, after = text.partition(ANSWER)
    assert is_in_a_question(before, after) is asked


@pytest.mark.parametrize(
    ("text", "withdrawn"),
    [
        (". Scratch that.", True),
        (", I was wrong", True),
        (" (wrong)", True),
        (", that is wrong.", False),
        (", actually he did not.", False),
        (", I don't think so.", False),
    ],
)
def test_a_yes_or_no_is_withdrawn_in_so_many_words(text: str, withdrawn: bool) -> None:
    assert is_withdrawn(text) is withdrawn


@given(st.text("ab ", max_size=30))
def test_words_that_say_nothing_about_an_answer_change_nothing(text: str) -> None:
    assert not is_left_open(text)
    assert not is_taken_back(text)


@pytest.mark.parametrize(
    ("after", "conditional"),
    [
        (" if Ann comes.", True),
        (" pens, if she pays", True),
        (" unless it rains", True),
        (" provided that she pays", True),
        (" (assuming she pays)", True),
        (" if x = 2", False),
        (", if I am not mistaken", False),
        (" if my sum is right", False),
        (" even if it rains", False),
        (" because if it rains, she stays", False),
        (". If it rains, she stays", False),
        (" pens", False),
    ],
)
def test_conditions(after: str, conditional: bool) -> None:
    assert is_under_a_condition(after) is conditional
