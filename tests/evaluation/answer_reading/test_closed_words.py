"""Answers of a closed set, such as yes and no."""

from __future__ import annotations

import pytest

from sequela.evaluation.answer_reading.closed_words import (
    closed_word,
    first_closed_word,
    word_in_place_of_a_denied_one,
)

PAIRS = (("yes", "no"), ("No", "Yes"), ("True", "False"), ("invalid", "valid"))


@pytest.mark.parametrize(("one", "other"), PAIRS)
@pytest.mark.parametrize(
    "form",
    [
        "{one}. Wait, it is {other}.",
        "{one}. Actually, it's {other}.",
        "{one}. Actually, {other}.",
        "{one}. No, it's {other}.",
        "{one}. Hold on, the answer is {other}.",
        "{one}, sorry, {other}.",
        "{one}. Correction: {other}",
    ],
)
def test_the_word_in_place_of_one_that_is_taken_back_counts(form: str, one: str, other: str) -> None:
    assert closed_word(form.format(one=one, other=other)) == other


@pytest.mark.parametrize(("one", "other"), PAIRS)
@pytest.mark.parametrize(
    "form",
    ["{one}. {other} would be wrong.", "{one} and not {other}.", "{one}, not {other}.", "{one}. {one}."],
)
def test_the_first_word_stays_if_the_other_is_denied(form: str, one: str, other: str) -> None:
    assert closed_word(form.format(one=one, other=other)) == one


@pytest.mark.parametrize(
    "text",
    [
        "Yes. Wait, that is not right.",
        "No. Hmm, let me think again.",
        "Yes, no",
        "yes or no",
        "No, plausible.",
    ],
)
def test_a_word_that_is_taken_back_or_contradicted_is_none(text: str) -> None:
    assert closed_word(text) is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("No. No, he did not.", "No"),
        ("Yes. Actually, no one came.", "Yes"),
        ("Yes, plausible.", "Yes"),
        ("no, implausible", "no"),
    ],
)
def test_words_of_one_meaning_agree(text: str, word: str) -> None:
    assert closed_word(text) == word


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Therefore, no.", "no"),
        ("So yes", "yes"),
        ("It is invalid.", "invalid"),
        ("The argument is not valid.", "invalid"),
        ("Is the sentence plausible? No.", "No"),
        ("It is no secret.", None),
        ("It is true that he came.", None),
    ],
)
def test_a_word_is_read_behind_words_that_lead_to_it(text: str, word: str | None) -> None:
    assert first_closed_word(text) == word


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("The answer isn't No, it's Yes.", "Yes"),
        ("The answer is not valid but invalid.", "invalid"),
        ("The answer is not yes.", None),
        ("The answer isn't no, he said.", None),
    ],
)
def test_a_denied_word_is_replaced_by_the_one_behind_it(text: str, word: str | None) -> None:
    assert word_in_place_of_a_denied_one(text) == word
