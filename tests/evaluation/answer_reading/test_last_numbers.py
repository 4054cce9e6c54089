"""The last number of a text that states no answer."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.last_numbers import is_aside, last_number_of
from sequela.evaluation.answer_reading.notations import common_numbers
from sequela.evaluation.answer_reading.numbers import as_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("He bakes 5 + 7 = <<5+7=12>>12 loaves.", 12),
        ("He pays 5 * 7 = $<<5*7=35>>35 a day", 35),
        ("So it takes 60/8=<<60/8=7.5>>7.5 hours", "7.5"),
        ("He bakes <<5+7=12>> loaves.", 12),
        ("> 12", 12),
        ("<12>", 12),
        ("So he pays $35 (5 * $7).", 35),
        ("He has 12 loaves (5 white and 7 brown).", 12),
        ("In all: **12** (= 5 + 7)", 12),
        ("He has 12 loaves (5 + 7 = 12).", 12),
        ("The sum is 12 (7 loaves).", 12),
        ("He has 12 loaves [3].", 12),
        ("He has a dozen (12).", 12),
        ("He has 3 of a dozen (12)", 12),
        ("He has 12, not 15.", 12),
        ("He has 12 and not 15.", 12),
        ("He has 12 loaves instead of 15.", 12),
        ("It costs 12 dollars rather than 15 dollars.", 12),
        ("He has 12 (not 15).", 12),
        ("12 = 5 + 7", 12),
        ("5 + 7 * 2", 19),
        ("It rises from 5 to 12.", 12),
        ("12 12 12", 12),
        ("他一共有12个。", 12),
        ("答案是12", 12),
        ("答えは12です。", 12),
        ("共12元", 12),
    ],
)
def test_what_is_said_beside_the_number_is_left_out(text: str, value: int | str) -> None:
    found = last_number_of(common_numbers(text))
    assert found is not None
    assert found.value == as_number(str(value))


@pytest.mark.parametrize(
    "text",
    [
        "It isn't 15.",
        "It takes 5 hours and 12 minutes.",
        "It takes 5 h 12 min.",
        "It is 5 or 12",
        "They are 5 and 12.",
        "We get $x=5$ or $x=12$.",
        "It is between 5 and 12 loaves",
        "It takes 1.5 hours (90 minutes).",
        "He has 3 rows (5 * 7 = 35).",
        "12 13",
        "x > 12",
        "not 12, not 15",
        "答案不是12",
        "至少12个",
        "5或12",
        "今天是5月12日",
        "第12",
        "答えは12ではありません。",
        "none",
    ],
)
def test_no_number_is_stated(text: str) -> None:
    assert last_number_of(common_numbers(text)) is None


def test_an_aside_is_more_than_a_number() -> None:
    assert is_aside(" loaves (5 + 7).")
    assert not is_aside(" (12)")
    assert not is_aside(" or 12")
    assert not is_aside(" (5 + 7) and 12")
