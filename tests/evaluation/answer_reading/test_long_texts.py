"""Long texts are read in bounded time: white space is shortened, and the middle left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.evaluation.answer_reading.long_texts import MOST_READ, MOST_SPACES, readable, with_short_spaces
from sequela.evaluation.lm_eval.answer_extraction import EXTRACTORS, AnswerParser, all_extracted

ALL = {"all": AnswerParser(extractors=tuple(EXTRACTORS), compare="words")}
CHOICES = ("Paris", "Rome", "Berlin", "Oslo")
RUNS = ["\n", " ", "\n ", "\t", "\r\n", "\u00a0", "\x0b"]
MANY = [
    "(",
    "*",
    "#",
    ".",
    "5",
    "1,",
    "$",
    "\\",
    "{",
    "A ",
    "**",
    "Answer: ",
    "answer ",
    "option ",
    "not ",
    '"',
    "1+",
    "Q:",
    "2^",
    r"\(",
    "<p>",
    "& ",
    "The answer is A. ",
    "answer is 5 or ",
    "Oak (option A) ",
    "For x, the answer is D. ",
    "(A) or maybe (B) ",
]
BEFORE = ["", "Q", "(A", "The answer is", "The answer", "\\boxed{", "<", "1", "$", "A or"]


@given(st.text(alphabet=" \n\tab", max_size=300))
def test_the_words_and_lines_stay(text: str) -> None:
    short = with_short_spaces(text)
    assert short.split() == text.split()
    assert [line.split() for line in short.splitlines() if line.strip()] == [
        line.split() for line in text.splitlines() if line.strip()
    ]
    assert len(text) > MOST_SPACES or short == text


@pytest.mark.parametrize(
    ("run", "short"),
    [(" " * 99, " " * 50), (" " * 50, " " * 50), ("\n" * 99, "\n\n"), (" " * 60 + "\n", "\n")],
)
def test_a_run_is_shortened(run: str, short: str) -> None:
    assert with_short_spaces(f"a{run}b") == f"a{short}b"


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("before", BEFORE)
def test_every_reader_reads_long_white_space_as_short(before: str, run: str) -> None:
    """With readers that begin anew at each of its characters, this would take minutes."""
    long = all_extracted(before + run * 20_000 + "x", ALL, CHOICES)
    assert long == all_extracted(with_short_spaces(before + run * 20_000 + "x"), ALL, CHOICES)


@given(st.text(alphabet="ab7 ", min_size=1, max_size=40), st.integers(0, 40))
def test_a_long_text_keeps_whole_words_at_both_ends(text: str, n_more: int) -> None:
    whole = " ".join(["begin", *[text] * (2 * MOST_READ // len(text)), "x" * n_more, "end"])
    kept = readable(whole)
    assert len(kept) <= MOST_READ + 2
    assert kept.startswith("begin")
    assert kept.endswith("end")
    assert set(kept.split()) <= set(whole.split())


@given(st.text(alphabet="ab\n ", max_size=200))
def test_a_text_that_is_not_long_is_read_whole(text: str) -> None:
    assert len(text) > MOST_SPACES or readable(text) == text


def test_an_answer_at_the_end_of_a_long_text_is_read() -> None:
    text = "So it goes on and on. " * 5_000 + "The answer is 42."
    assert all_extracted(text, ALL, CHOICES)["last_number"] == "42"


@pytest.mark.slow
@pytest.mark.parametrize("part", [*RUNS, *MANY])
@pytest.mark.parametrize("before", BEFORE)
def test_every_reader_ends_on_long_repetitions(before: str, part: str) -> None:
    text = before + part * (40_000 // len(part)) + "!x"
    assert all_extracted(text, ALL, CHOICES).keys() == EXTRACTORS.keys()
