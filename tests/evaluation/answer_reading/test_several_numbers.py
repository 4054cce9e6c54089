"""Several numbers where one is expected."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.notations import common_numbers
from sequela.evaluation.answer_reading.several_numbers import others_follow, others_precede
from sequela.evaluation.answer_reading.statements import marked_numbers, stated_numbers

SEVERAL = (
    *("5% or 6%", '"5" or "6"', "5, or maybe 6", "5 (or 6)", "$5$ or $6$", "$5$ and $6$", "**5** or **6**"),
    *(
        "5 then 6",
        "5 pens or 6 pens",
        "5 (perhaps 6)",
        "(a) 5 (b) 6",
        "(i) 5, (ii) 6",
        "a) 5 b) 6",
        "(a) 5\n(b) 6",
    ),
    *("x = 5, y = 6", "Ann 5, Bob 6", "5 for part (a) and 6 for part (b)", "5 hours and 6 minutes"),
)
ONE = (
    *("5", "5 pens", "5 or so", "5. Or so it seems", "5, so 6 are left", "5; y = 6", "5. (b) is easy"),
    *("5 (2 + 3)", "5 because 6 are left", "5, as 6 is even", "5, not 6", "5 by 2030"),
)


@pytest.mark.parametrize("stated", SEVERAL)
def test_a_statement_of_several_numbers_is_none(stated: str) -> None:
    assert [*stated_numbers(f"The answer is {stated}.")] == [None]


@pytest.mark.parametrize("stated", ONE)
def test_a_statement_of_one_number(stated: str) -> None:
    assert [*stated_numbers(f"The answer is {stated}")] == ["5"]
    assert not others_follow(stated, 0, 1)


@pytest.mark.parametrize(
    "before", ["5 or ", "5 and ", "$5$ and $", "5 to ", "5 h and ", "(a) 5 (b) ", "5或", "5 "]
)
def test_others_precede(before: str) -> None:
    text = common_numbers(f"{before}6 min")
    assert others_precede(text, text.index("6"), text.index("6") + 1)


@pytest.mark.parametrize(
    "before", ["from 5 to ", "5. ", "5, so ", "first 5, then ", "5 + ", "5 pens and then "]
)
def test_none_precede(before: str) -> None:
    assert not others_precede(f"{before}6", len(before), len(before) + 1)


def test_marked_lines() -> None:
    assert marked_numbers("#### 5 or 6") == []
    assert marked_numbers("#### 5 (2 + 3)") == ["5"]
    assert marked_numbers("#### 5 (2 + 3)", strict=True) == []
