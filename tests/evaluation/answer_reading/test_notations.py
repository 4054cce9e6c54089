"""Notations of numbers."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.evaluation.answer_reading.notations import common_numbers
from sequela.evaluation.answer_reading.numbers import as_number
from sequela.evaluation.answer_reading.statements import last_number, marked_numbers, stated_numbers

CURRENCIES = (
    "US$",
    "A$",
    "HK$",
    "CA$",
    "S$",
    "NT$",
    "U.S.$",
    "US$ ",
    "Rs. ",
    "Rs.",
    "Rs ",
    "₹",
    "€",
    "€ ",
    "₪",
)
CODES = ("CHF ", "CHF", "SEK ", "kr ", "kr. ", "Rp", "RM")
BEHIND = ("€", " €", "$", " USD", " EUR", " US$", " kr", "/-")
DIGITS = ("0123456789", "٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "０１２３４５６７８９", "०१२३४५६७८९", "๐๑๒๓๔๕๖๗๘๙")
SEPARATORS = (",", "٬", "\u2009", "\u202f", "\u00a0", " ", "'", "’", "´", "ʼ", "，")


@pytest.mark.parametrize("currency", CURRENCIES + CODES)
def test_a_currency_before_a_number_is_no_part_of_it(currency: str) -> None:
    assert as_number(f"{currency}42") == as_number(f"{currency}42.00") == 42
    assert list(stated_numbers(f"The answer is {currency}42 for 7 pens.")) in (["42"], [f"{currency}42"])
    assert as_number(f"-{currency}42") == -42


@pytest.mark.parametrize("currency", BEHIND)
def test_a_currency_behind_a_number_is_no_part_of_it(currency: str) -> None:
    assert as_number(f"42{currency}") == 42


@given(st.integers(10**3, 10**12), st.sampled_from(DIGITS), st.sampled_from(SEPARATORS), st.booleans())
def test_every_script_and_separator_is_read(value: int, digits: str, separator: str, minus: bool) -> None:
    written = f"{value:,}".translate(str.maketrans("0123456789", digits)).replace(",", separator)
    assert as_number(f"-{written}" if minus else written) == (-value if minus else value)
    found = last_number(f"She has {written}.")
    assert found is not None
    assert as_number(found) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("+7.", 7),
        ("+ 7", 7),
        ("+$7", 7),
        ("12 + 7", 19),
        ("12 +7", 19),
        ("4! = 24", 24),
        ("(4!) = 24", 24),
        ("5!/3! = 20", 20),
        ("2 * 3! = 12", 12),
        ("1,00,000", 100_000),
        ("12,34,567.5", "1234567.5"),
        ("1٬٠٠٬٠٠٠", 100_000),
        ("٣٫٥", "3.5"),
        ("1 234,56", "1234.56"),
        ("18 USD", 18),
    ],
)
def test_further_notations(text: str, value: int | str) -> None:
    assert as_number(text) == Fraction(value)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is 4! = 24.", "24"),
        ("The answer is 4!, which is 24.", "24"),
        ("The answer is 4!", "4"),
        ("The answer is 4! I am sure of 2 things.", "4"),
        ("The answer is n! = 24.", "24"),
        ("The answer is approx. 7 of 10.", "7"),
        ("The answer is 4 nuts + 3 bolts = 7 parts.", "7"),
        ("The answer isn't 7.", None),
        ("The answer cannot be 7.", None),
        ("The answer can't be 7, it is 9.", "9"),
        ("The answer is definitely not 7.", None),
        ("The answer is wrong: 7", None),
        ("I don't think the answer is 7.", None),
        ("The answer is 7 USD or 9 USD.", None),
    ],
)
def test_statements_in_further_notations(text: str, number: str | None) -> None:
    assert list(stated_numbers(text)) == [number]


def test_the_strict_reading_reads_none_of_them() -> None:
    assert list(stated_numbers("The answer is US$42.", strict=True)) == [None]
    assert list(stated_numbers("The answer is +42.", strict=True)) == [None]
    assert list(stated_numbers("The answer is 10٬000.", strict=True)) == ["10"]
    assert list(stated_numbers("The answer is 4! = 24.", strict=True)) == ["4"]
    assert list(stated_numbers("The answer isn't 42.", strict=True)) == []
    assert marked_numbers("#### 10٬000") == ["10,000"]
    assert marked_numbers("#### 10٬000", strict=True) == []


@pytest.mark.parametrize("text", ["7 is wrong.", "It is not 7.", "She won't have 7."])
def test_a_denied_last_number_is_no_answer(text: str) -> None:
    assert last_number(text) is None


def test_other_texts_stay_as_they_are() -> None:
    for text in ("Room A1 and R2D2", "the no. 5", "x + 3", "a 3!", "Fred 5", "in 1914, 3 ships"):
        assert common_numbers(text) == text


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("5 + 7 = <<5+7=12>>12", "5 + 7 = 12"),
        ("$<<5*7=35>>35", "$35"),
        ("<< 5*7 = 35 >> 35", "35"),
        ("<<1/4=0.25>>1/4", "1/4"),
        ("<<5+7=12>> pens", "12 pens"),
        ("<<see>> 5", "<<see>> 5"),
        ("> 5", "5"),
        (">> 5", "5"),
        ("x > 5", "x > 5"),
        ("<5>", "5"),
        ("3^{2}", "3^2"),
        ("10^{-2}", "10^-2"),
        ("3^{n+1}", "3^(n+1)"),
        ("90^{\\circ}", "90°"),
        ("5^{\\text{th}}", "5th"),
        ("共5个", "共 5个"),
        ("第5", "第5"),
        ("5! (120)", "120"),
        ("5! (12)", "5! (12)"),
        ("9 – 3 pens at $3", "9. 3 pens at $3"),
        ("9 – 3 = 6", "9 - 3 = 6"),
    ],
)
def test_marks_and_powers_are_rewritten(text: str, rewritten: str) -> None:
    assert common_numbers(text) == rewritten
