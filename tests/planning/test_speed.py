"""Times that follow from the speed of a machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequela.planning.counting import GeneratingCall, ScoringCall
from sequela.planning.speed import Clockwork, Flops, Speed, interpolated
from sequela.planning.work import Work

SPEED = Speed(
    load_seconds=1.0,
    call_seconds=0.5,
    flop_seconds=((32.0, 1e-9), (512.0, 5e-10)),
    position_seconds=1e-3,
    generating_call_seconds=0.25,
    step_seconds=((1.0, 0.01), (8.0, 0.02), (32.0, 0.08)),
    task_seconds=0.1,
    item_seconds=0.0,
    answers={"short": ((0.5, 0.5),)},
)
CLOCK = Clockwork(SPEED, Flops(block=1e6, attention=0.0, head=1e6, n_layers=4))


def test_scoring_takes_the_call_the_operations_and_the_positions() -> None:
    call = ScoringCall(n_requests=10, tokens=1000, positions=20, length=32)
    assert CLOCK.scoring(call) == pytest.approx(0.5 + 1000 * 4e6 * 1e-9 + 20 * 1e-3)
    assert CLOCK.scoring(call, first_block=3) == pytest.approx(0.5 + 1000 * 1e6 * 1e-9 + 20 * 1e-3)


def test_generation_takes_a_step_for_each_token_while_rows_go_on() -> None:
    call = GeneratingCall(prompt_tokens=0, length=32, most=(11,) * 8)
    assert CLOCK.generating(call, (1.0,)) == pytest.approx(0.25 + 8e-3 + 10 * 0.02)
    half = CLOCK.generating(call, (1.0, 0.0))
    assert half == pytest.approx(0.25 + 8e-3 + 10 * interpolated(SPEED.step_seconds, 4))
    assert CLOCK.of(Work(calls=(call,)), "short") < CLOCK.of(Work(calls=(call,)), "other")


def test_values_between_points_are_on_lines() -> None:
    points = ((1.0, 10.0), (3.0, 20.0))
    assert [interpolated(points, x) for x in (0, 1, 2, 3, 5)] == [10, 10, 15, 20, 20]
    assert interpolated(points, 5, beyond=True) == 30


@given(st.floats(1, 1e6), st.floats(1, 1e6), st.floats(1, 600))
def test_more_tokens_never_take_less_time(some: float, more: float, length: float) -> None:
    def seconds(tokens: float) -> float:
        return CLOCK.scoring(ScoringCall(1, tokens, 1, length))

    assert seconds(some) <= seconds(some + more)


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 50))
def test_more_rows_never_take_less_time(some: int, more: int, most: int) -> None:
    def seconds(rows: int) -> float:
        return CLOCK.generating(GeneratingCall(10, 10, (most,) * rows), (1.0,))

    assert seconds(some) <= seconds(some + more) * 1.35  # rows beyond 128 take the places of ended ones
