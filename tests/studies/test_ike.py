"""A study with an in-context method."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.results import Query, open_store
from sequela.results.metrics import HIT_RATE
from sequela.studies import Study, run_study

FACTS = {"n_demonstrations": 0, "retriever": "words"}


@pytest.fixture(scope="module")
def always_and_near(make_study: Callable[..., Study], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with facts in front of every prompt, and one with facts in front of similar prompts only."""
    folder = tmp_path_factory.mktemp("ike") / "run"
    editors = [
        {"name": "ike", "settings": FACTS},
        {"name": "ike", "settings": {**FACTS, "threshold": 0.95}},
    ]
    run_study(make_study(editors=editors, alarms={"every": 1}), folder)
    return folder


def test_every_suite_reports_its_hit_rate(always_and_near: Path) -> None:
    with open_store(always_and_near) as store:
        rates = [one for one in store.measurements() if one.metric == HIT_RATE.name]
    reported = {(one.variant, one.suite, one.n_edits): one.value for one in rates}
    assert reported == {
        **{("facts alone", "builtin", n): 1.0 for n in (1, 2)},
        **{("threshold 0.95, facts alone", "builtin", n): 0.0 for n in (1, 2)},
    }


def test_without_hits_every_score_equals_the_unedited_model_s(always_and_near: Path) -> None:
    with open_store(always_and_near) as store:
        near = store.measurements(Query(suite="builtin", editor="ike"))
        perplexities = store.measurements(Query(suite="perplexity", editor="ike"))
    quiet = [one for one in near if one.variant.startswith("threshold") and one.metric != HIT_RATE.name]
    assert quiet
    assert all(one.value == one.baseline for one in quiet)
    assert any(one.value != one.baseline for one in near if one.variant == "facts alone")
    # A text whose perplexity is measured is no request.
    assert all(one.value == one.baseline for one in perplexities)
