"""Digits of a number: separators of thousands, decimal points and commas."""

from __future__ import annotations

import re
from fractions import Fraction

INTEGER = (
    r"(?:\d{1,3}(?:,\d{3})+(?![\d,]*\d)|\d{1,2}(?:,\d{2})+,\d{3}(?![\d,]*\d)|\d{1,3}(?:['’]\d{3})+(?!\d)"
    r"|\d{1,3}(?:[ _]\d{3})+(?!\d)|\d{1,3}(?:\.\d{3}){2,}(?!\d)|\d+)"
)
DECIMAL = r"(?:\d{1,3}(?:\.\d{3})+,\d{1,2}(?![\d,])|\d+,\d{1,2}(?![\d,])|" + INTEGER + r"(?:\.\d+)?|\.\d+)"
"""A number without a sign; spaces of all kinds are plain ones."""
MOST_CHARACTERS = 1000
"""A longer row of digits is not read: collapsed models write such rows, and Python doesn't convert them."""


def decimal(written: str) -> Fraction:
    """Returns the value of a number that is written as `DECIMAL` says."""
    if re.fullmatch(r"\d{1,3}(?:\.\d{3})*,\d{1,2}", written):  # 1.234,56
        written = written.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"\d{1,3}(?:\.\d{3}){2,}", written):  # 1.234.567
        written = written.replace(".", "")
    return Fraction(re.sub(r"[,'’ _]", "", written))
