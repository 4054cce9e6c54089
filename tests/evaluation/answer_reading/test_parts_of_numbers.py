"""Surroundings that make a number a part of something else."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.notations import common_numbers
from sequela.evaluation.answer_reading.parts_of_numbers import goes_on, has_begun, is_label, is_part

BEHIND = (
    *(" times 6", " times as many", " plus 6", " minus six", " multiplied by 6", " divided by 6", " over 6"),
    *(" less 6", " more than 6", " fewer pens than 6", " % of 6", "% of the 6", " percent of 6", " squared"),
    *(" cubed", " to the power of 2", " to the 3rd power", " mod 6", " choose 6", " per 6", " doubled"),
    *(" increased by 6", " remainder 6", " R 6", " and a half", " in base 6"),
    *("⋅x", "•6", " ✖ 6", " * (6)", " + x", "/x", " ± 6", "√6", "(6)", "{6}", " \\pi", "^n"),
    *("..6", "...6", " ~ 6", "; 6", "|6", " & 6", " → 6", " : 6", " 6", ", 6.", ", 6, 8", "', '6'"),
    *(" hours and 6 minutes", " feet 6 inches", " km 6 m", "'6\"", " boys and 6 girls", " kg, 6 g"),
    *("a", "y", "π", "x", "th", "nd", "ths", "fold", "-fold", "-ish", "up", "chan", " x", " B"),
    *(" dozen-packs", " score", " thirds", " mil", "万", " 億"),
    *(" or more", " and over", " pens or fewer", " at most", " at the very least", "+", " maximum"),
    *(" May 2020", " of June", " Sept. 2020"),
)
NOT_BEHIND = (
    *(
        "",
        ".",
        "!",
        "?",
        ",",
        ")",
        "]",
        " pens",
        " km",
        "km",
        "kg",
        "%",
        " %",
        " percent",
        " percent of them",
    ),
    *(" times", " times a week", " dollars", "€", " per day", " out of the pens", " more than Ann", " less"),
    *(
        " in total",
        " because of it",
        " (six)",
        " (= 6)",
        ". 6",
        ", so 6 are left",
        ", not 6",
        " or so",
        " may be",
    ),
    *(
        " pens, which is 6",
        "日",
        "개",
        "元",
        "cats",
        "min",
        " s",
        "°C",
        "cm2",
        " marches",
        " \\text{cm}",
        "\\)",
    ),
    *(" a day", " I think", " A", " by noon", "/hour", "\n6", "\n• 6"),
)
BEFORE = (
    *("less than ", "more than ", "at least ", "at most ", "up to ", "over ", "under ", "> ", "≥ ", "<", "±"),
    *("no fewer than ", "greater than or equal to ", "closer to ", "almost ", "a maximum of ", "\\geq "),
    *(
        "sqrt(",
        "sqrt ",
        "\\log ",
        "sin(",
        "f(",
        "∛",
        "√(",
        "the square root of ",
        "half of ",
        "half ",
        "twice ",
    ),
    *("a third of ", "two fifths of ", "20% of ", "percent of the ", "the sum of ", "double ", "3 times "),
    *("3 plus ", "3 divided by ", "x over ", "3⋅", "x/", "-(", "hundred and ", "3; ", "3, "),
)
NOT_BEFORE = (
    *("", "is ", "about ", "exactly ", "overall ", "moreover ", "because ", "=> ", "-> ", "<b>", "</b> "),
    *("$", "(", "x = ", "there are ", "on the whole, ", "In 2 weeks: ", "hundreds of them: "),
)


@pytest.mark.parametrize("behind", BEHIND)
def test_a_number_that_goes_on(behind: str) -> None:
    assert goes_on(f"5{behind}", 1)


@pytest.mark.parametrize("behind", NOT_BEHIND)
def test_a_number_that_ends(behind: str) -> None:
    assert not goes_on(f"5{behind}", 1)


@pytest.mark.parametrize("before", BEFORE)
def test_a_number_that_has_begun_before(before: str) -> None:
    text = f"It is {before}"
    assert has_begun(f"{text}5", len(text))
    assert is_part(f"{text}5", len(text), len(text) + 1)


def test_a_minus_behind_a_number_subtracts() -> None:
    assert has_begun("7 minus 5", 2)
    assert not has_begun("It is minus 5", 6)


@pytest.mark.parametrize("before", NOT_BEFORE)
def test_a_number_that_begins(before: str) -> None:
    text = f"It is {before}"
    assert not has_begun(f"{text}5", len(text))


@pytest.mark.parametrize("before", ["Room ", "page ", "Step ", "May ", "on Sept. "])
def test_labels_and_days(before: str) -> None:
    assert is_label(f"{before}5", len(before))
    assert is_part(f"{before}5", len(before), len(before) + 1)


@pytest.mark.parametrize("before", ["May ", "May 5, ", "Sept. "])
def test_a_year_is_a_number_of_its_own(before: str) -> None:
    assert not is_part(f"{before}1915", len(before), len(before) + 4)


@pytest.mark.parametrize(
    ("text", "part"), [("[5, 6]", True), ("['5', '6']", True), ("[5]", False), ("{5}", False)]
)
def test_lists(text: str, part: bool) -> None:
    start = text.index("5")
    assert is_part(text, start, start + 1) is part


def test_signs_that_are_rewritten_are_no_parts() -> None:
    for sign in "⋅∙‧∗✕✖⨯⨉·":
        assert common_numbers(f"5{sign}6") == "5*6"
        assert common_numbers(f"5 {sign} 6") == "5 * 6"
    for sign in "∕➗":
        assert common_numbers(f"6{sign}5") == "6/5"
    assert common_numbers("2·500") == "2·500"  # a product, or 2,500
    assert common_numbers("2·000·500") == "2'000'500"
    assert common_numbers("|-5|") == "5"


@pytest.mark.parametrize("behind", [" times 36", " in base 12", " over 24", "% of 150", " more pens than 14"])
def test_the_other_number_may_have_several_digits(behind: str) -> None:
    assert goes_on(f"5{behind}", 1)


def test_marks_of_quotations_are_no_bounds() -> None:
    assert not has_begun("8>> 5", 4)
    assert has_begun("x >> 5", 5)
    assert has_begun("8 > 5", 4)
