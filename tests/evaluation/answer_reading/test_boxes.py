"""Numbers in the boxes of LaTeX."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.boxes import boxed_number, boxes, has_unread_box
from sequela.evaluation.answer_reading.numbers import as_number


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("31", 31),
        ("31 \\text{ km}^{2}", 31),
        ("31\\ \\text{m}/\\text{s}^{2}", 31),
        ("31\\,\\frac{\\text{m}}{\\text{s}}", 31),
        ("3^{2}", 9),
        ("7 \\times 10^{3}", 7000),
        ("\\text{Total} = 31", 31),
        ("n = 31", 31),
        ("\\text{about } 31", 31),
        ("31 \\text{ pens in 4 boxes}", 31),
        ("31 \\text{ out of } 40", 31),
        ("2{,}500", 2500),
    ],
)
def test_a_box_is_read_with_its_unit_and_powers(content: str, value: int) -> None:
    text = f"So we have $\\boxed{{{content}}}$."
    found = boxed_number(text)
    assert found is not None
    assert as_number(found) == value
    assert not has_unread_box(text)


@pytest.mark.parametrize(
    "content",
    [
        "5 \\text{ or } 6",
        "5 \\text{ and } 6",
        "5 \\text{ to } 6",
        "a = 5, b = 6",
        "5 \\text{ km and } 60 \\text{ m}",
        "5 \\text{ days } 6 \\text{ hours}",
        "\\text{at least } 5",
        "5!",
        "5^{th}",
        "5_{8}",
    ],
)
def test_a_box_with_anything_but_one_number_is_not_read(content: str) -> None:
    text = f"She had 9. So $\\boxed{{{content}}}$."
    assert boxed_number(text) is None
    assert has_unread_box(text)


def test_boxes_that_are_joined_are_several_numbers() -> None:
    assert boxed_number("It is $\\boxed{5}$ or $\\boxed{6}$.") is None
    assert has_unread_box("\\boxed{5} pens and \\boxed{6} cups")
    assert boxed_number("First \\boxed{5}. In the end, \\boxed{6}.") == "6"


def test_boxes_end_where_their_braces_do() -> None:
    text = "\\boxed{\\frac{\\text{a}}{b}} \\fbox{2} \\boxed{3"
    assert [one.content for one in boxes(text)] == ["\\frac{\\text{a}}{b}", "2"]
    assert not has_unread_box("\\boxed{Ann}")
    assert not has_unread_box("no box, 5")
