"""Units behind numbers."""

from __future__ import annotations

import re

import pytest

from sequela.evaluation.answer_reading.units import ATTACHED_UNIT, MEASURE


@pytest.mark.parametrize(
    "unit", ["km", "kg", "m", "cm2", "GB", "kHz", "mAh", "μg", "h", "hrs", "pm", "days", "元", "개"]
)
def test_attached_units(unit: str) -> None:
    assert re.match(ATTACHED_UNIT, unit)


@pytest.mark.parametrize(
    "letters", ["a", "x", "y", "D", "G", "s", "th", "st", "fold", "up", "chan", "π", "km-", "plus"]
)
def test_other_letters(letters: str) -> None:
    assert re.match(ATTACHED_UNIT, letters) is None


def test_measures() -> None:
    assert all(re.fullmatch(MEASURE, one) for one in ("hours", "minutes", "ft", "inches", "kg", "dollars"))
    assert re.fullmatch(MEASURE, "apples") is None
