"""The time that a study still takes, from the weights of its pieces and the times of those that are done."""

from __future__ import annotations

import pytest

from sequela.core.workload import Piece, Workload

LOAD = Piece(("load", "m"), 1, typical=False)
PERPLEXITY = Piece(("evaluate", "perplexity", "m"), 1000)
QUIZ = Piece(("evaluate", "quiz", "m"), 5000)
QUIZ_OF_N = Piece(("evaluate", "quiz", "n"), 5000)
EDIT = Piece(("edit", "rome", "m"), 2000)


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def workload(*pieces: Piece) -> tuple[Workload, Clock]:
    clock = Clock()
    return Workload("study", pieces, clock), clock


def do(work: Workload, clock: Clock, piece: Piece, seconds: float) -> None:
    with work.doing(piece, "something"):
        clock.now += seconds


def test_nothing_is_known_before_something_typical_was_timed() -> None:
    work, clock = workload(LOAD, PERPLEXITY)
    assert work.seconds_left() is None
    with work.doing(PERPLEXITY, "perplexity"):
        clock.now += 5
        assert work.seconds_left() is None
    work, clock = workload(LOAD, PERPLEXITY)
    do(work, clock, LOAD, 600)
    assert work.seconds_left() is None


def test_set_up_is_not_taken_for_the_pace_of_the_rest() -> None:
    """Ten minutes of loading, then five pieces of two seconds: ten seconds are left, not an hour."""
    work, clock = workload(LOAD, *[PERPLEXITY] * 6)
    do(work, clock, LOAD, 600)
    do(work, clock, PERPLEXITY, 2)
    assert work.seconds_left() == pytest.approx(10)


def test_pieces_that_were_never_timed_go_by_their_weight() -> None:
    work, clock = workload(PERPLEXITY, QUIZ, EDIT)
    do(work, clock, PERPLEXITY, 2)
    assert work.seconds_left() == pytest.approx(10 + 4)


def test_the_most_similar_pieces_that_were_timed_decide() -> None:
    work, clock = workload(PERPLEXITY, QUIZ, QUIZ, QUIZ_OF_N, EDIT)
    do(work, clock, PERPLEXITY, 1)
    do(work, clock, QUIZ, 50)
    # A quiz takes 50 s on either model; of the edit only the pace of everything together is known.
    assert work.seconds_left() == pytest.approx(50 + 50 + 2000 * 51 / 6000)


def test_the_time_of_the_piece_under_way_passes() -> None:
    work, clock = workload(QUIZ, QUIZ)
    do(work, clock, QUIZ, 40)
    with work.doing(QUIZ, "m, 5 edits, quiz"):
        clock.now += 30
        assert work.label == "m, 5 edits, quiz"
        assert work.seconds_under_way == 30
        assert work.seconds_left() == pytest.approx(10)
        clock.now += 30  # longer than expected
        assert work.seconds_left() == pytest.approx(6)
        assert work.seconds_left(current_left=25) == pytest.approx(25)
    assert work.label == ""
    assert work.seconds_left() == 0


def test_a_first_piece_under_way_tells_of_those_like_it() -> None:
    work, clock = workload(QUIZ, QUIZ, QUIZ)
    with work.doing(QUIZ, "quiz"):
        clock.now += 60
        assert work.seconds_left(current_left=540) == pytest.approx(540 + 2 * 600)


def test_a_longer_first_piece_than_its_weight_says_is_noticed() -> None:
    work, clock = workload(PERPLEXITY, EDIT, EDIT)
    do(work, clock, PERPLEXITY, 1)
    assert work.seconds_left() == pytest.approx(4)
    with work.doing(EDIT, "edit 1"):
        clock.now += 50
        assert work.seconds_left() == pytest.approx(50 + 5)  # the second edit, by the first one so far


def test_what_is_skipped_counts_as_done_and_takes_no_time() -> None:
    work, clock = workload(PERPLEXITY, QUIZ, QUIZ)
    do(work, clock, PERPLEXITY, 2)
    work.skip(QUIZ)
    work.skip(EDIT)  # was never planned
    assert (work.n_done, work.n_pieces) == (2, 3)
    assert work.seconds_left() == pytest.approx(10)


def test_a_piece_that_fails_is_neither_done_nor_learned_from() -> None:
    work, clock = workload(PERPLEXITY, QUIZ)
    do(work, clock, PERPLEXITY, 2)

    def interrupted() -> None:
        clock.now += 500
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), work.doing(QUIZ, "quiz"):
        interrupted()
    assert (work.n_done, work.n_pieces, work.label) == (1, 2, "")
    assert work.seconds_left() == pytest.approx(10)
