"""Tasks and resources."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from sequela.scheduling import UNLIMITED, Outcome, Resources, State
from sequela.scheduling.outcome import Cause, Failure
from support.scheduling import task


def test_label_and_weight_only_describe_a_task() -> None:
    one = task("a", "b", payload={"n": 1})
    assert one == replace(one, label="other words", weight=7.0)
    assert one != replace(one, payload={"n": 2})
    assert len({one, replace(one, label="other words")}) == 1


@pytest.mark.parametrize("weight", [-1.0, math.inf, math.nan])
def test_a_weight_is_finite(weight: float) -> None:
    with pytest.raises(ValueError, match="weight of the task 'task a'"):
        task("a", weight=weight)


def test_a_key_is_not_empty() -> None:
    with pytest.raises(ValueError, match="is empty"):
        task("")


def test_resources_fit() -> None:
    assert Resources(memory=2**40).fit_in(UNLIMITED)
    assert Resources(memory=4, gpus=0.5).fit_in(Resources(memory=4, gpus=1))
    assert not Resources(memory=5).fit_in(Resources(memory=4))
    assert not Resources(gpus=1).fit_in(UNLIMITED)
    with pytest.raises(ValueError, match="below zero"):
        Resources(memory=-1)


def test_resources_in_words() -> None:
    assert str(Resources(memory=3 * 2**30)) == "3.00 GiB of memory"
    assert str(Resources(memory=2**30, gpus=2)) == "1.00 GiB of memory and 2 GPUs"


def test_outcomes_in_words() -> None:
    failures = (Failure(Cause.ERROR, "first"), Failure(Cause.LOST, "second", "log"))
    assert str(Outcome(task("a"), State.DONE)) == "task a: done"
    assert str(Outcome(task("a"), State.SKIPPED, reason="stopped")) == "task a: skipped: stopped"
    failed = Outcome(task("a"), State.FAILED, failures=failures)
    assert (str(failed), failed.log) == ("task a: failed after 2 tries: second", "log")
    assert str(Outcome(task("a"), State.FAILED, failures=failures[:1])) == "task a: failed: first"
