"""Checks of a stated number."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.second_thoughts import check_begins
from sequela.evaluation.answer_reading.statements import stated_numbers


@pytest.mark.parametrize(
    ("check", "number"),
    [
        ("Let me double-check: 6 × 4 = 24. Therefore he makes $24.", "$24"),
        ("Hold on. 6 × 4 = 24. So he makes $24.", "$24"),
        ("Hmm, let me recount. There are 24. So it is 24.", "24"),
        ("\n\nWait, that's not right. Let me recalculate: 6 × 4 = 24.", "24"),
        ("Actually, I forgot one pen. So it's 24.", "24"),
        ("Let me verify: 30 - 7 = 23.", "23"),
        ("Let me check: 23 + 7 = 30. Correct.", "23"),
        ("Let me check: 23 + 7 = 30.", "23"),
        ("Let me check: 6 × 4 = 24.", None),
        ("Let me double-check. Yes, that is right.", "23"),
        ("Let me explain: 6 × 4 = 24.", "23"),
        ("That is wrong.", None),
        ("That is wrong, as there are 5 pens.", None),
        ("He is happy.", "23"),
    ],
)
def test_the_conclusion_of_a_check_counts(check: str, number: str | None) -> None:
    assert [*stated_numbers(f"The answer is 23. {check}")] == [number]
    assert [*stated_numbers(f"The answer is 23. {check}", strict=True)] == ["23"]


def test_where_a_check_begins() -> None:
    text = ". Let me double-check: 5"
    assert check_begins(text) == text.index(":")
    assert check_begins(". Let me explain: 5") is None
