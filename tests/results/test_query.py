"""The order of measurements."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from sequela.results import UNEDITED, Labels, Measurement, TaskResult
from sequela.results.query import in_study_order, ordered

METHODS = ("rome", "grace", "memit")


def measured(editor: str, model: str = "m", n_edits: int = 1) -> Measurement:
    result = TaskResult(suite="s", task="t", metric="accuracy", protocol="x", value=0.5, n=2)
    labels = Labels(
        model=model, editor=editor, variant="", edit_source="facts", order_seed=0, n_edits=n_edits
    )
    return Measurement.of(result, labels, None)


@given(st.integers(0, 10**6))
def test_methods_are_in_the_order_of_the_study(seed: int) -> None:
    every = [
        measured(editor, model, n_edits)
        for model in ("a", "b")
        for editor in (UNEDITED, *METHODS, "another")
        for n_edits in ((0,) if editor == UNEDITED else (1, 10))
    ]
    shuffled = random.Random(seed).sample(every, len(every))
    assert in_study_order(shuffled, METHODS) == every
    assert in_study_order(shuffled, ()) == ordered(shuffled)
