from __future__ import annotations

import pytest

from sequela.results import EDIT_QUALITY, EFFECTIVE_EDITS, Measurement, hardly_expressed


def expressed(n_edits: int, value: float | None, variant: str = "") -> Measurement:
    return Measurement(
        model="m",
        editor="mend",
        variant=variant,
        edit_source="builtin",
        order_seed=0,
        n_edits=n_edits,
        suite=EDIT_QUALITY,
        task="retention@n",
        metric=EFFECTIVE_EDITS,
        protocol="free_decoding",
        value=value,
        n=n_edits,
    )


def perplexity(n_edits: int, value: float) -> Measurement:
    named = {"suite": "perplexity", "task": "fixed_text", "metric": "perplexity", "protocol": "fixed_text"}
    return expressed(n_edits, value).model_copy(update={**named, "baseline": 20.0})


def test_it_is_told_at_the_last_checkpoint_of_each_trajectory() -> None:
    found = hardly_expressed(
        [expressed(50, 40), expressed(100, 9), expressed(10, 0, "last-only"), expressed(100, 90, "last-only")]
    )
    assert [(one.variant, one.n_edits, one.n_expressed) for one in found] == [("", 100, 9)]


@pytest.mark.parametrize(("n_edits", "value"), [(5, 0), (100, 10), (100, None)])
def test_nothing_is_said_of_few_edits_or_of_enough_that_are_there(n_edits: int, value: float | None) -> None:
    assert hardly_expressed([expressed(n_edits, value)]) == []


def test_a_model_that_collapsed_is_not_blamed_twice() -> None:
    assert hardly_expressed([perplexity(100, 30.0), expressed(100, 0)])
    assert hardly_expressed([perplexity(100, 3000.0), expressed(100, 0)]) == []
