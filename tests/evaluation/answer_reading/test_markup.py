"""Markup is removed where it is markup, in a time proportional to the length of the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.evaluation.answer_reading.markup import plain


def test_a_tag_is_removed_if_its_partner_is_there() -> None:
    assert plain("<b><i>B</b></i> and <b>x<b>y</b>") == "B and x<b>y"
    assert plain("</b>a<b>") == "</b>a<b>"
    assert plain("1 < 2 and <b class='x'>3</b > is > 2") == "1 < 2 and 3 is > 2"
    assert plain("~~A~~ B <del>C</DEL> D <s>E") == " B  D <s>E"


def test_the_argument_of_a_command_stays() -> None:
    assert plain(r"\boxed{\text{B}}") == "B"
    assert plain(r"\textbf{a\emph{b}\mathrm {c}}") == "abc"
    assert plain(r"\text{a{b}c} } \text{d") == r"\text{a{b}c} } \text{d"
    assert plain(r"\sqrt[3]{8}") == "√(8)"


REPEATED = [
    "<b>",
    "<s>",
    "~~",
    r"\text{",
    r"\sqrt[",
    r"\frac{",
    r"\(",
    "</b>",
    "&lt;",
    "*",
    "_",
    "<a ",
    r"\a{}",
]


@pytest.mark.parametrize("mark", REPEATED)
def test_marks_that_repeat_without_end_are_read_once(mark: str) -> None:
    """If each looked for its end anew, this would take hours."""
    text = mark * 100_000
    assert len(plain(text)) <= len(text)


def test_marks_that_nest_are_removed_together() -> None:
    n = 50_000
    assert plain("<b>" * n + "C" + "</b>" * n) == "C"
    assert plain(r"\text{" * n + "C" + "}" * n) == "C"
    assert plain("<s>" * n + "C" + "</s>" * n + "D") == "</s>" * (n - 1) + "D"


@pytest.mark.parametrize("mark", ["<p>", "<br> ", r"\ ", r"\quad", "&nbsp;"])
def test_marks_that_are_white_space_make_no_long_runs(mark: str) -> None:
    text = plain(f"The answer{mark * 1000} is B.")
    assert text.split() == ["The", "answer", "is", "B."]
    assert len(text) < 100


OF_MARKS = st.lists(
    st.sampled_from(["<b>", "</b>", "<i>", "</i>", r"\text{", "{", "}", "a", " "]), max_size=20
)


@given(OF_MARKS)
def test_only_marks_are_removed(parts: list[str]) -> None:
    left = plain("".join([*parts, "."]))  # without the point, an end without a beginning would go, too
    assert left.replace("<b>", "").replace("</b>", "").count("a") == parts.count("a")
    for begin, end in (("<b>", "</b>"), ("<i>", "</i>")):
        first = left.find(begin)
        assert first < 0 or left.find(end, first) < 0
        assert parts.count(begin) - left.count(begin) == parts.count(end) - left.count(end)
