"""Digits of numbers."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from sequela.evaluation.answer_reading.digits import DECIMAL, decimal


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("7", "7"),
        ("7,000.5", "7000.5"),
        ("7.000,25", "7000.25"),
        ("1.234.567", "1234567"),
        ("7 000", "7000"),
        (".5", "0.5"),
    ],
)
def test_the_value_of_digits(written: str, value: str) -> None:
    assert re.fullmatch(DECIMAL, written)
    assert decimal(written) == Fraction(value)
