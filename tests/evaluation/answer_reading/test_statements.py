"""Statements of an answer."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.statements import (
    first_question,
    last_number,
    marked_numbers,
    stated_numbers,
)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("The answer is 7.", ["7"]),
        ("The answer would then be 7.", ["7"]),
        ("The answer to this question is 7", ["7"]),
        ("The final answer is: **7**", ["7"]),
        ("Answer: $7", ["$7"]),
        ("The answer is:\n\n7", ["7"]),
        ("The answer is 3 + 4 = 7.", ["7"]),
        ("The answer is –7.", ["-7"]),
        ("The answer is 2^3=8.", ["8"]),
        ("The answer is 5. Or rather, the answer is 7.", [None, "7"]),
        ("The answer is not 5.", [None]),
        ("The answer is not 5 but 7.", ["7"]),
        ("The answer is 5 or 7.", [None]),
        ("The answer is either 5 or 7.", [None]),
        ("The answer is between 5 and 7.", [None]),
        ("The answer is 5-7.", [None]),
        ("The answer is 5,6,7", [None]),
        ("The answer is unknown. He had 5.", [None]),
        ("The answer is minus 7.", ["minus 7"]),
        ("The answer is - 7.", ["- 7"]),
        ("The answer is (-7).", ["-7"]),
        ("The answer is seven (7).", ["7"]),
        ("The answer, then, is 7.", ["7"]),
        ("The answer is not 5. It is 7.", ["7"]),
        ("The answer is 9-2=7.", ["7"]),
        ("The answer is (9 - 2) = 7 nails.", ["7"]),
        ("The answer is 7*(3-2) = 7", ["7"]),
        ("The answer is 4 nuts + 3 bolts = 7 parts, and 5 are left", ["7"]),
        ("The answer is 35% of 20 = 7.", ["7"]),
        ("The answer is √49 = 7", ["7"]),
        ("The answer is 7 = 3 + 4", ["7"]),
        ("The answer is 2 * (3 + 1)", [None]),
        ("He had 5.", []),
    ],
)
def test_the_number_of_each_statement(text: str, numbers: list[str | None]) -> None:
    assert list(stated_numbers(text)) == numbers


@pytest.mark.parametrize(
    "start", ["\n\nProblem: ", "\nQuestion: ", "\n\nQ: ", " Q: ", "\n\n### Problem 2. ", "\n**Question**: "]
)
def test_a_question_that_the_model_asks_itself_is_not_read(start: str) -> None:
    text = f"The answer is 7.{start}Ida has 3. The answer is 3."
    assert first_question(text).rstrip() == "The answer is 7."
    assert list(stated_numbers(text)) == ["7"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is 4 times 7, which is 28.", "28"),
        ("The answer is 4 times 7.", None),
        ("The answer is 4 times 7 apples, so 28 apples.", "28"),
        ("The answer is 40 divided by 5, or 8.", "8"),
        ("The answer is 6 plus 5 equals 11", "11"),
        ("The answer is 6 plus 5 is 11.", "11"),
        ("The answer is 30% of 60, that is, 18", "18"),
        ("The answer is half of 24, which is 12", "12"),
        ("The answer is a third of 24, i.e. 8", "8"),
        ("The answer is twice 12", None),
        ("The answer is 5 squared", None),
        ("The answer is 5 squared (25).", "25"),
        ("The answer is 3 more than 8, so 11", "11"),
        ("The answer is 3 more than Ann has.", "3"),
        ("The answer is the square root of 25", None),
        ("The answer is sqrt(25) = 5", "5"),
        ("The answer is 4 dozen (48).", "48"),
        ("The answer is 2 hours 10 minutes, or 130 minutes.", "130"),
        ("The answer is 2 hours and 10 minutes.", None),
        ("The answer is 2 hours.", "2"),
        ("The answer is at least 9", None),
        ("The answer is 9 or more", None),
        ("The answer is ±9", None),
        ("The answer is > 9", None),
        ("The answer is 0x1F", None),
        ("The answer is 0b11", None),
        ("The answer is 0o17", None),
        ("The answer is 9..12", None),
        ("The answer is [9, 12]", None),
        ("The answer is \\binom{9}{2}", None),
        ("The answer is \\log 9", None),
        ("The answer is |-9|", "9"),
        ("The answer is 9π", None),
        ("The answer is 2x = 18, so x = 9", "9"),
        ("The answer is Room 9", None),
        ("The answer is the 9th", None),
        ("The answer is 9⋅10²", "9*10^2"),
        ("The answer is 4 times 7, which is at most 30", None),
        ("The answer is not 5 but 2 times 4, which is 8", "8"),
    ],
)
def test_a_part_of_something_else_is_not_stated_but_its_result_is(text: str, number: str | None) -> None:
    assert list(stated_numbers(text)) == [number]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is 4 times 7, which is 28.", "4"),
        ("The answer is 4 dozen", "4"),
        ("The answer is at least 9", "9"),
        ("The answer is 0x1F", "0x1"),
        ("The answer is 9..12", "9"),
    ],
)
def test_the_strict_reading_stays_that_of_the_harness(text: str, number: str) -> None:
    assert list(stated_numbers(text, strict=True)) == [number]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("She has 4 dozen.", "48"),
        ("She has 4 times 7.", None),
        ("She has over 9.", None),
        ("Step 1. Count. Step 2. Done.", None),
        ("She has 9 apples.", "9"),
        ("It took place in May 1999.", "1999"),
    ],
)
def test_the_last_number_is_a_part_of_nothing(text: str, number: str | None) -> None:
    assert last_number(text) == number


def test_a_marked_number_is_a_part_of_nothing() -> None:
    assert marked_numbers("#### 4 dozen") == ["48"]
    assert marked_numbers("#### 4 squared") == []
    assert marked_numbers("#### 4 squared", strict=True) == ["4"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is 9 when n = 3.", "9"),
        ("The answer is 9 if n = 3.", "9"),
        ("The answer is 9 where the rate r = 3", "9"),
        ("The answer is 9 (with n = 3).", "9"),
        ("The answer is 9 for a price p = 3", "9"),
        ("The answer is 9. n = 3", "9"),
        ("The answer is 9 (6 + 3).", "9"),
        ("The answer is 9 because 6 + 3 = 9.", "9"),
        ("The answer is 6 pens + 3 pens = 9 pens.", "9"),
        ("The answer is 9 – 6 red and 3 blue pens.", "9"),
        ("The answer is 9 - 6 pens.", None),
        ("The answer is 9 if Ann comes.", None),
        ("The answer is 9‰.", None),
        ("The answer is 10 in base 16.", None),
        ("The answer is 3! (6)", "6"),
        ("The answer is 3!", "3"),
        ("The answer is 3!.", None),
        ("The answer is $3^{2}$.", "$3^2"),
        ("The answer is $2\\times10^{3}$.", "$2*10^3"),
        ("The area is $9 \\text{ m}^{2}$, so the answer is $9 \\text{ m}^{2}$.", "$9"),
    ],
)
def test_what_stands_behind_a_stated_number(text: str, number: str | None) -> None:
    assert [*stated_numbers(text)] == [number]
