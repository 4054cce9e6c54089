"""Denials and alternatives around an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.evaluation.answer_reading.retractions import doubts_what_follows, is_alternative, is_denied

NAME = "Oslo"
DENIED = [
    "Oslo is wrong",
    "Oslo would be incorrect",
    "Oslo is not the answer",
    "Oslo isn't right",
    "Oslo isn’t it",
    "Oslo can't be right",
    "Oslo cannot be it",
    "Oslo doesn't fit",
    "Oslo is ruled out",
    "Oslo? No.",
    "Oslo: wrong",
    "Oslo (wrong)",
    "Oslo, no, Bergen",
    "Oslo, which is wrong",
    "Oslo. That is wrong.",
    "not Oslo",
    "Oslo, of course not",
    "Oslo, although that's wrong",
    "It can hardly be Oslo",
    "It isn't Oslo",
    "It can't be the city of Bergen, nor Oslo",
    "never Oslo",
    "I don't think it's Oslo",
    "I doubt that it is Oslo",
    "anything but Oslo",
    "rather than Oslo",
    "We rule out Oslo",
]
NOT_DENIED = [
    "Oslo, not Bergen",
    "Oslo, no doubt",
    "not only Oslo",
    "Oslo (not Bergen)",
    "none other than Oslo",
    "Oslo is not only big",
    "not Bergen but Oslo",
    "Not Bergen, it is Oslo",
    "I don't know, Oslo",
    "I'm not sure, but Oslo",
    "Certainly not. Oslo",
    "Oslo rather than Bergen",
    "There is no doubt that it's Oslo",
    "Oslo is the capital, not Bergen",
    "Oslo, and it's not Bergen",
    "It is not far. It's not Bergen. Oslo.",
]
ALTERNATIVE = [
    "Oslo or Bergen",
    "Bergen or Oslo",
    "Oslo/Bergen",
    "Oslo / Bergen",
    "Oslo, Bergen, or Moss",
    "Oslo, or maybe Bergen",
    "Oslo (or Bergen)",
    "Oslo? Bergen?",
    "Oslo, maybe Bergen",
    "Oslo oder Bergen",
    "Oslo vs. Bergen",
    "either Oslo",
]
NO_ALTERNATIVE = ["Oslo and Bergen", "Oslo, maybe", "Oslo, the city with three or four hills", "Oslo, Oregon"]


def _around(text: str) -> tuple[str, str]:
    before, _, after = text.rpartition(NAME)
    return before, after


@pytest.mark.parametrize("text", DENIED)
def test_a_denied_answer(text: str) -> None:
    assert is_denied(*_around(text))


@pytest.mark.parametrize("text", NOT_DENIED)
def test_an_answer_that_is_not_denied(text: str) -> None:
    assert not is_denied(*_around(text))


@pytest.mark.parametrize("text", ALTERNATIVE)
def test_one_of_several_answers(text: str) -> None:
    assert is_alternative(*_around(text))


@pytest.mark.parametrize("text", NO_ALTERNATIVE)
def test_an_answer_without_alternatives(text: str) -> None:
    assert not is_alternative(*_around(text))


def test_doubt_about_a_statement() -> None:
    assert doubts_what_follows("I don't think the answer is ")
    assert not doubts_what_follows("Bergen is not the answer, the answer is ")


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_text_can_stand_around_an_answer(before: str, after: str) -> None:
    assert is_denied(before, after) in (True, False)
    assert is_alternative(before, after) in (True, False)
