"""Another answer behind an answer."""

from __future__ import annotations

import pytest

from sequela.evaluation.edit_quality.answer_matching import starts_with_answer

ANOTHER = [
    "Oslo. The right answer is Bergen.",
    "Oslo. The answer should be Bergen.",
    "Oslo (correct answer: Bergen)",
    "Oslo\n\nThe correct city is Bergen.",
    "Oslo, although the actual answer is Bergen",
    "Oslo is a port. The answer is Bergen.",
    "Oslo. In truth, it's Bergen.",
    "Oslo\n\nActually, it's in Bergen.",
    "Oslo. In fact, Bergen is correct.",
    "Oslo is near, but it is Bergen.",
    "Oslo, but in truth Bergen",
    "Oslo. However, it is actually in Bergen.",
    "Oslo. That claim is not accurate.",
    "Oslo (this is false)",
    "Oslo. Note: the statement is incorrect.",
    "Oslo. This answer contains an error.",
    "Oslo. This isn't correct.",
    "Oslo; the answer is actually Bergen",
    "Oslo. The final answer is Bergen.",
    "Oslo. The answer is not Oslo.",
    "Oslo. It should be Bergen.",
    "Oslo (should be Bergen)",
    "Oslo. It is really Bergen.",
    "Oslo. The truth is, it's Bergen.",
    "Oslo. (The above statement is untrue.)",
]
MORE = [
    "Oslo. The correct answer is Oslo.",
    "Oslo. In fact, it is one of the oldest.",
    "Oslo. In fact, it is Norway's capital.",
    "Oslo. In fact, Harald Hardrada founded it in 1050.",
    "Oslo. Actually, it is close to the fjord.",
    "Oslo. Actually, it's a city in Norway.",
    "Oslo. Actually, it is the largest city in Norway.",
    "Oslo. It was wrong of them to rename it.",
    "Oslo. Yes, really.",
    "Oslo. No, seriously.",
    "Oslo. This is correct.",
    "Oslo. The answer is not Bergen.",
    "Oslo. In fact, the Vikings lived there.",
    "Oslo. It is a mistake to skip it.",
    "Oslo. The real reason is its harbor.",
    "Oslo, but it is small.",
    "Oslo, or Christiania in Danish",
    "Oslo (or Christiania, as it was once called)",
    "Oslo. What is the capital of France? The answer is Paris.",
    "Oslo¹",
    "Oslo™ is",
]


@pytest.mark.parametrize("text", ANOTHER)
def test_another_answer_takes_the_first_back(text: str) -> None:
    assert not starts_with_answer(text, "Oslo")


@pytest.mark.parametrize("text", MORE)
def test_more_about_an_answer_takes_nothing_back(text: str) -> None:
    assert starts_with_answer(text, "Oslo")


def test_an_answer_in_small_letters_is_taken_back_by_words_that_are_called_the_answer() -> None:
    assert not starts_with_answer("jazz. The correct answer is blues.", "jazz")
    assert starts_with_answer("jazz. The correct answer is jazz.", "jazz")
    assert starts_with_answer("jazz. In fact, it is popular.", "jazz")


def test_another_number_takes_a_number_back() -> None:
    assert not starts_with_answer("18. The correct answer is 20.", "18")
    assert starts_with_answer("18. The correct answer is 18.", "18")
