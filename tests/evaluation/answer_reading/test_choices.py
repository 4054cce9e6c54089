"""The texts of choices, where they stand in a text."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.choices import begins_with_choice, behind_choice, is_part_of_a_number
from sequela.evaluation.lm_eval.read_answer import AnswerToRead, read_answer


@pytest.mark.parametrize(
    ("text", "choices", "letter"),
    [
        ("4/5", "3|4|5|6", None),
        ("4%", "3|4|5|6", None),
        ("4.5", "3|4|5|6", None),
        ("14", "3|4|5|6", None),
        ("-4", "3|4|5|6", None),
        ("- 4", "3|4|5|6", None),
        ("4", "3|4|5|6", "B"),
        ("4.", "3|4|5|6", "B"),
        ("The answer is 4.", "3|4|5|6", "B"),
        ("The answer is 4/5.", "3|4|5|6", None),
        ("The answer is -4", "3|4|5|6", None),
        ("The answer is 4%", "3|4|5|6", None),
        ("The answer is 4.5", "3|4|5|6", None),
        ("The answer is 0.4", "3|4|5|6", None),
        ("4,500", "3|4|5|6", None),
        ("4 million", "3|4|5|6", None),
        ("4 or 5", "3|4|5|6", None),
        ("4-5", "3|4|5|6", None),
        ("4^2", "3|4|5|6", None),
        ("4th", "3|4|5|6", None),
        ("4:30", "3|4|5|6", None),
        ("4 apples", "3|4|5|6", "B"),
        ("4%", "3%|4%|5%|6%", "B"),
        ("4 %", "3%|4%|5%|6%", "B"),
        ("-4", "3|-4|5|4", "B"),
        ("4", "3|-4|5|4", "D"),
        ("4/5", "3/5|4/5|5|4", "B"),
        ("$4", "3|4|5|6", "B"),
        ("$4", "$3|$4|$5|$6", "B"),
        ("4 1/2", "3|4|5|6", None),
        ("4½", "3|4|5|6", None),
        ("4×10", "3|4|5|6", None),
        ("1/4", "3|4|5|6", None),
        ("4 + 1", "3|4|5|6", None),
        ("B 4.5", "3|4|5|6", None),
        ("B 4", "3|4|5|6", "B"),
        ("B. 4", "3|4|5|6", "B"),
        ("4 km", "3 km|4 km|5 km|6 km", "B"),
        ("It is 4 degrees", "3|4|5|6", "B"),
        ("4/5", "1|4|5|8", None),
        ("4%", "1|4|5|8", None),
        ("The answer is 4.5.", "1|4|5|8", None),
        ("14", "1|4|5|8", None),
        ("-4", "1|4|5|8", None),
        ("8/10", "1|4|5|8", None),
        ("1.5", "1|4|5|8", None),
        ("1,000", "1|4|5|8", None),
        ("8 percent", "1|4|5|8", None),
        ("5 to 8", "1|4|5|8", None),
        ("The answer is -8", "1|4|5|8", None),
        ("The answer is 5/8", "1|4|5|8", None),
        ("10", "1|4|5|8", None),
        ("5", "1|4|5|8", "C"),
        ("The answer is 8", "1|4|5|8", "D"),
        ("5.", "1|4|5|8", "C"),
        ("It is 4.", "1|4|5|8", "B"),
        ("1/4", "1/4|4|5|8", "A"),
        ("-1", "-1|1|5|8", "A"),
        ("5%", "1%|4%|5%|8%", "C"),
        ("5°C", "1|4|5|8", None),
        ("5e3", "1|4|5|8", None),
        ("√4", "1|4|5|8", None),
        ("∛4", "1|4|5|8", None),
        ("The answer is √4", "1|4|5|8", None),
        ("4 lakh", "1|4|5|8", None),
        ("The answer is 4 crore", "1|4|5|8", None),
        ("4 K", "1|4|5|8", None),
        ("4 M", "1|4|5|8", None),
        ("4 per 5", "1|4|5|8", None),
        ("4 per day", "1|4|5|8", "B"),
        ("4..5", "1|4|5|8", None),
        ("4⋅2", "1|4|5|8", None),
        ("4 times 5", "1|4|5|8", None),
        ("4π", "1|4|5|8", None),
        ("≥ 4", "1|4|5|8", None),
        ("4 or more", "1|4|5|8", None),
        ("4 May", "1|4|5|8", None),
        ("4 万", "1|4|5|8", None),
        ("√4", "1|√4|5|8", "B"),
        ("4 dozen", "4|4 dozen|5|8", "B"),
    ],
)
def test_a_choice_that_is_a_number_is_not_read_in_another_number(
    text: str, choices: str, letter: str | None
) -> None:
    answer = AnswerToRead(reader="letters", text=text, choices=tuple(choices.split("|")))
    assert read_answer(answer).extracted == letter


def test_what_follows_a_choice() -> None:
    assert behind_choice("an oak tree", ("oak", "an oak")) == " tree"
    assert behind_choice("oaks", ("oak",)) is None
    assert begins_with_choice("4 apples", "4")
    assert not begins_with_choice("4.5", "4")
    assert is_part_of_a_number("4.5", "4")
    assert not is_part_of_a_number("4.", "4")
    assert not is_part_of_a_number("4.5 m", "4.5 m")


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("fir is wrong", None),
        ("Is it fir?", None),
        ("fir?", None),
        ("I don't think the answer is fir", None),
        ("It's not fir", None),
        ("The answer is fir.", "C"),
        ("The answer is fir, not oak.", "C"),
        ("fir is a poor source of shade.", "C"),
    ],
)
def test_a_choice_that_is_denied_or_asked_about_is_no_answer(text: str, letter: str | None) -> None:
    answer = AnswerToRead(reader="letters", text=text, choices=("oak", "elm", "fir", "yew"))
    assert read_answer(answer).extracted == letter
