"""The remaining time of a study, from the weights of its pieces and the times of finished ones."""

from __future__ import annotations

import pytest

from sequela.core.workload import Piece, Workload

LOAD = Piece(("load", "m"), 1, typical=False)
PERPLEXITY = Piece(("evaluate", "perplexity", "m"), 1000)
QUIZ = Piece(("evaluate", "quiz", "m"), 5000)
QUIZ_OF_N = Piece(("evaluate", "quiz", "n"), 5000)
EDIT = Piece(("edit", "rome", "m"), 2000)


class Clock:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def workload(*pieces: Piece) -> tuple[Workload, Clock]:
    clock = Clock()
    return Workload("study", pieces, clock), clock


def do(work: Workload, clock: Clock, piece: Piece, seconds: float) -> None:
    with work.doing(piece, "something"):
        clock.now += seconds


def test_there_is_no_estimate_before_a_typical_piece_was_timed() -> None:
    work, clock = workload(LOAD, PERPLEXITY)
    assert work.seconds_left() is None
    with work.doing(PERPLEXITY, "perplexity"):
        clock.now += 5
        assert work.seconds_left() is None
    work, clock = workload(LOAD, PERPLEXITY)
    do(work, clock, LOAD, 600)
    assert work.seconds_left() is None


def test_set_up_does_not_count_for_the_rate_of_other_pieces() -> None:
    """Ten minutes of loading, then five pieces of two seconds: ten seconds are left, not an hour."""
    work, clock = workload(LOAD, *[PERPLEXITY] * 6)
    do(work, clock, LOAD, 600)
    do(work, clock, PERPLEXITY, 2)
    assert work.seconds_left() == pytest.approx(10)


def test_pieces_that_were_never_timed_are_estimated_by_weight() -> None:
    work, clock = workload(PERPLEXITY, QUIZ, EDIT)
    do(work, clock, PERPLEXITY, 2)
    assert work.seconds_left() == pytest.approx(10 + 4)


def test_the_most_similar_pieces_that_were_timed_decide() -> None:
    work, clock = workload(PERPLEXITY, QUIZ, QUIZ, QUIZ_OF_N, EDIT)
    do(work, clock, PERPLEXITY, 1)
    do(work, clock, QUIZ, 50)
    # A quiz takes 50 s on either model; for the edit only the mean rate of all pieces is known.
    assert work.seconds_left() == pytest.approx(50 + 50 + 2000 * 51 / 6000)


def test_the_elapsed_time_of_the_current_piece_is_subtracted() -> None:
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


def test_a_first_current_piece_is_the_basis_for_similar_ones() -> None:
    work, clock = workload(QUIZ, QUIZ, QUIZ)
    with work.doing(QUIZ, "quiz"):
        clock.now += 60
        assert work.seconds_left(current_left=540) == pytest.approx(540 + 2 * 600)


def test_a_first_piece_that_takes_longer_than_its_weight_suggests_counts() -> None:
    work, clock = workload(PERPLEXITY, EDIT, EDIT)
    do(work, clock, PERPLEXITY, 1)
    assert work.seconds_left() == pytest.approx(4)
    with work.doing(EDIT, "edit 1"):
        clock.now += 50
        assert work.seconds_left() == pytest.approx(50 + 5)  # the second edit, by the first one so far


def test_skipped_pieces_count_as_done_and_take_no_time() -> None:
    work, clock = workload(PERPLEXITY, QUIZ, QUIZ)
    do(work, clock, PERPLEXITY, 2)
    work.skip(QUIZ)
    work.skip(EDIT)  # was never planned
    assert (work.n_done, work.n_pieces) == (2, 3)
    assert work.seconds_left() == pytest.approx(10)


def test_a_failed_piece_is_neither_done_nor_timed() -> None:
    work, clock = workload(PERPLEXITY, QUIZ)
    do(work, clock, PERPLEXITY, 2)

    def interrupted() -> None:
        clock.now += 500
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), work.doing(QUIZ, "quiz"):
        interrupted()
    assert (work.n_done, work.n_pieces, work.label) == (1, 2, "")
    assert work.seconds_left() == pytest.approx(10)
