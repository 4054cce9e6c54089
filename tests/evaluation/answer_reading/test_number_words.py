"""Numbers that are written in English words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.evaluation.answer_reading.number_words import begins_in_words, value_of, with_digits
from sequela.evaluation.answer_reading.statements import stated_numbers

ONES = [
    *("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def in_words(value: int, hyphen: str, joint: str) -> str:
    for scale, word in ((10**6, "million"), (10**3, "thousand"), (100, "hundred")):
        if value >= scale:
            rest = value % scale
            first = f"{in_words(value // scale, hyphen, joint)} {word}"
            return f"{first}{joint if rest < 100 else ' '}{in_words(rest, hyphen, joint)}" if rest else first
    if value < 20:
        return ONES[value - 1]
    ten, one = divmod(value, 10)
    return TENS[ten - 2] + (hyphen + ONES[one - 1] if one else "")


@given(st.integers(1, 999_999_999), st.sampled_from(["-", " "]), st.sampled_from([" ", " and "]))
def test_whole_numbers_are_read(value: int, hyphen: str, joint: str) -> None:
    words = in_words(value, hyphen, joint)
    assert value_of(words) == value
    assert with_digits(f" {words} pens. More") == f" {value} pens. More"


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("forty-one", "41"),
        ("Forty one pens", "41"),
        ("zero", "0"),
        ("one", "1"),
        ("one pen", "1"),
        ("a hundred and two", "102"),
        ("fourteen hundred", "1400"),
        ("a dozen", "12"),
        ("three dozen pens", "36"),
        ("exactly **nine**", "9"),
        ("six times seven, which is forty-two", "42"),
        ("not nine", None),
        ("eight or nine", None),
        ("between eight and nine", None),
        ("two days and three hours", None),
        ("at least nine", None),
        ("two-thirds", None),
        ("half of it", None),
        ("nine and a half", None),
    ],
)
def test_words_are_read_behind_a_statement(words: str, number: str | None) -> None:
    assert [*stated_numbers(f"He had 3. The answer is {words}.")] == [number]
    assert [*stated_numbers(f"The answer is {words}.", strict=True)] in ([], [None])


@pytest.mark.parametrize("text", ["one of them", "one that fits", "a pen", "ninth", "seven (7)", "pens"])
def test_other_words_are_no_numbers(text: str) -> None:
    assert with_digits(text) is None


def test_words_that_are_left() -> None:
    assert begins_in_words(" two-thirds")
    assert not begins_in_words(" one of them")
