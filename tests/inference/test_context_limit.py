"""Requests that are too long are refused one by one; the others are answered in their places."""

from __future__ import annotations

import logging

import pytest

from sequela.inference.context_limit import answer_within_context
from sequela.inference.engine import Score, ScoreRequest

REQUESTS = [ScoreRequest((5,) * length, (6,)) for length in (4, 9, 3, 5)]


def by_length(requests: list[ScoreRequest]) -> list[Score]:
    return [Score((-float(request.length),), (True,), True) for request in requests]


def test_answers_and_refusals_come_in_the_order_of_the_requests(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        scores = answer_within_context(4, "tiny", REQUESTS, Score.for_too_long, by_length)
    assert [score.too_long for score in scores] == [None, 9, None, 5]
    assert [score.logprob for score in (scores[0], scores[2])] == [-4, -3]
    assert "2 of 4 requests" in caplog.text
    assert "the longest has 9" in caplog.text


def test_where_nothing_fits_nothing_is_asked() -> None:
    def never(requests: list[ScoreRequest]) -> list[Score]:
        raise AssertionError("nothing fits")

    scores = answer_within_context(2, "tiny", REQUESTS, Score.for_too_long, never)
    assert [score.too_long for score in scores] == [4, 9, 3, 5]
    assert answer_within_context(2, "tiny", [], Score.for_too_long, never) == []
