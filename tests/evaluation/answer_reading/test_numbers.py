"""Reading of numbers."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.evaluation.answer_reading.notations import plain_numbers
from sequela.evaluation.answer_reading.numbers import as_number, numbers_in

SIGNS = ("-", "−", "–", "‐", "‑", "‒", "﹣", "－")
SEPARATORS = (",", " ", "\u00a0", "\u202f", "\u2009", "'", "’", "{,}", "")


@given(
    st.integers(0, 10**12),
    st.sampled_from(SIGNS),
    st.sampled_from(SEPARATORS),
    st.sampled_from(["", ".", ".00"]),
)
def test_numbers_are_read_with_any_sign_and_separator(
    value: int, sign: str, separator: str, after: str
) -> None:
    written = f"{value:,}".replace(",", separator) + after
    assert as_number(written) == value
    assert as_number(sign + written) == -value
    assert as_number(f"${written}") == value
    assert as_number(f"{sign}${written}") == as_number(f"${sign}{written}") == -value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7.25", "7.25"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("1.234,56", "1234.56"),
        ("9.876.543", "9876543"),
        ("24,50", "24.5"),
        ("2,50,000", "250000"),
        ("3/4", "0.75"),
        ("¾", "0.75"),
        ("2½", "2.5"),
        ("2 1/2", "2.5"),
        ("\\frac{3}{4}", "0.75"),
        ("$\\dfrac{3}{4}$", "0.75"),
        ("3^2", "9"),
        ("3**2", "9"),
        ("3²", "9"),
        ("2 x 10^4", "20000"),
        ("2.5 × 10⁴", "25000"),
        ("2e4", "20000"),
        ("2.5 million", "2500000"),
        ("minus 4", "-4"),
        ("3^2=9", "9"),
        ("4 + 5 = 9", "9"),
        ("9 = 4 + 5", "9"),
        ("4 + 5", "9"),
        ("30 - 6 * 2 = 18", "18"),
        ("75%", "75"),
        ("€40", "40"),
        ("４２", "42"),
        ("٤٢", "42"),
        ("४२", "42"),
        ("**42**", "42"),
        ("\\boxed{42}", "42"),
        ("<b>42</b>", "42"),
        ("(42).", "42"),
    ],
)
def test_numbers_are_read_in_any_form(text: str, value: str) -> None:
    assert as_number(text) == Fraction(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "many",
        "1,2,3",
        "4-9",
        "4 to 9",
        "4 or 9",
        "4 and 9",
        "4:30",
        "4/5/2020",
        "1.2.3",
        "4/0",
        "0/0",
        "4 eggs",
    ],
)
def test_other_texts_are_not_one_number(text: str) -> None:
    assert as_number(text) is None


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Rows 4-9", [4, 9]),
        ("on day-4", [4]),
        ("20 - 5 = 15", [20, 5, 15]),
        ("at -5 degrees, from 4:30 on 1/2/2020", [-5]),
        ("7 cm² and 8 m2", [7, 8]),
        ("version 1.2.3", []),
        ("$9 for 2 pens", [9, 2]),
    ],
)
def test_the_numbers_of_a_text(text: str, values: list[int]) -> None:
    assert [one.value for one in numbers_in(plain_numbers(text))] == values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("25k", 25000),
        ("25_000", 25000),
        ("25\\ 000", 25000),
        ("\\frac14", "1/4"),
        ("3\\frac{1}{2}", "7/2"),
        ("3 ½", "7/2"),
    ],
)
def test_other_notations_of_numbers(text: str, value: str | int) -> None:
    assert as_number(text) == Fraction(value)


def test_an_endless_row_of_digits_is_no_number() -> None:
    assert as_number("9" * 5000) is None
    assert as_number("0." + "9" * 5000) is None
    assert [*numbers_in("1," + "000," * 2000 + "000")] == []
