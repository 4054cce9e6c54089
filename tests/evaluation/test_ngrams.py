from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.evaluation.ngrams import ngram_entropy, repetition


def test_entropy_of_a_text_without_repetition() -> None:
    # three bigrams and two trigrams, each once
    assert ngram_entropy("a b c d") == pytest.approx((2 / 3 * math.log2(3) + 4 / 3 * math.log2(2)) / 2)


def test_entropy_of_a_repetitive_text() -> None:
    assert ngram_entropy("no " * 50) == 0.0
    assert ngram_entropy("a b " * 20) < ngram_entropy(" ".join(map(str, range(40))))


def test_repetition() -> None:
    assert repetition("a b c d e") == 0.0
    assert repetition("a b c a b c") == pytest.approx(1 / 4)
    assert repetition("no " * 50) == pytest.approx(47 / 48)
    assert repetition("too short") == 0.0


@given(st.text(max_size=200))
def test_both_stay_in_their_bounds(text: str) -> None:
    assert 0 <= repetition(text) < 1
    assert ngram_entropy(text) >= 0
