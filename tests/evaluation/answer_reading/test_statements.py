"""Statements of an answer."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.statements import first_question, stated_numbers


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
