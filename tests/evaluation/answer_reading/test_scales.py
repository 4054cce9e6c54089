"""Scale words behind the digits of a number."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.evaluation.answer_reading.numbers import as_number
from sequela.evaluation.answer_reading.scales import with_scales

WORDS = {
    "hundred": 100,
    "dozen": 12,
    "thousand": 10**3,
    "lakh": 10**5,
    "M": 10**6,
    "Mio.": 10**6,
    "mn": 10**6,
    "crore": 10**7,
    "bn": 10**9,
    "Mrd.": 10**9,
    "trillion": 10**12,
}


@given(st.integers(1, 9999), st.sampled_from(list(WORDS)), st.sampled_from(["", "-", "$"]))
def test_a_scale_word_multiplies_the_number(value: int, word: str, before: str) -> None:
    wanted = value * WORDS[word] * (-1 if before == "-" else 1)
    assert as_number(f"{before}{value} {word}") == as_number(f"{before}{value:,} {word}") == wanted


@given(st.integers(1, 9), st.integers(1, 99), st.sampled_from([" ", " and "]))
def test_what_a_scale_word_leaves_is_added(hundreds: int, rest: int, between: str) -> None:
    assert as_number(f"{hundreds} hundred{between}{rest}") == 100 * hundreds + rest


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 thousand 500", 2500),
        ("3 thousand 4 hundred", 3400),
        ("3 thousand, 4 hundred and 6", 3406),
        ("7 hundred thousand", 700_000),
        ("4 million 250 thousand", 4_250_000),
        ("2 crore 5 lakh", 20_500_000),
        ("1.5 hundred", 150),
        ("0.25 dozen", 3),
        ("1.234 dozen", "14.808"),
        ("6 K", 6000),
        ("$6m", 6_000_000),
        ("€2.5 b", 2_500_000_000),
        ("3 Millionen", 3_000_000),
        ("3 млрд", 3_000_000_000),
    ],
)
def test_numbers_with_scale_words(text: str, value: int | str) -> None:
    assert as_number(text) == Fraction(value)


@pytest.mark.parametrize(
    "text",
    [
        "7 hundred 800",
        "7 hundred and eighty",
        "7 dozen and 3",
        "7 hundred-weights",
        "7 m",
        "7 Mb",
        "7k",
        "7 thousand",
        "7 M&Ms",
        "1/2 dozen",
        "7 kings",
        "in 1914, 3 ships",
        "hundreds",
        "7 thousandths",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert with_scales(text) == text


def test_an_endless_row_of_digits_stays_as_it_is() -> None:
    text = "9" * 5000 + " hundred"
    assert with_scales(text) == text


def test_a_unit_in_latex_is_no_million() -> None:
    assert with_scales("$45 m$") == "$45 m$"
    assert with_scales("$45 m") == "$45000000"
