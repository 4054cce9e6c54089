"""WISE in a study: hits are counted, and without a hit the unedited model answers, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.results import Query, open_store
from sequela.results.metrics import HIT_RATE
from sequela.studies import Study, run_study

SETTINGS = {"shard_size": 1, "n_contexts": 5}


@pytest.fixture(scope="module", params=[0.88, 1e-9], ids=["its threshold", "no threshold"])
def finished_wise(
    request: pytest.FixtureRequest,
    make_study: Callable[..., Study],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[float, Path]:
    """A run with the default threshold, and one in which every prompt is a hit."""
    folder = tmp_path_factory.mktemp("wise") / "run"
    editors = [{"name": "wise", "settings": {**SETTINGS, "act_ratio": request.param}}]
    run_study(make_study(editors=editors), folder)
    return request.param, folder


def test_hits_are_counted_and_other_answers_are_unchanged(finished_wise: tuple[float, Path]) -> None:
    act_ratio, folder = finished_wise
    with open_store(folder) as store:
        rates = store.measurements(Query(metric=HIT_RATE.name, editor="wise"))
        assert {(one.suite, one.n_edits) for one in rates} == {
            (suite, n) for suite in ("builtin", "perplexity") for n in (1, 2)
        }
        if act_ratio < 1e-6:
            assert all(one.value == 1 for one in rates)
            (last,) = store.measurements(
                Query(suite="perplexity", metric="perplexity", editor="wise", n_edits=2)
            )
            assert last.value != last.baseline
            return
        assert all(one.value == 0 and one.n > 0 for one in rates)
        for suite in ("builtin", "perplexity"):
            found = store.measurements(Query(suite=suite, editor="wise"))
            assert all(one.value == one.baseline for one in found if one.metric != HIT_RATE.name)
        made = store.measurements(Query(suite="edit_quality", editor="wise"))
        efficacy = [one.value for one in made if (one.metric, one.protocol) == ("efficacy", "free_decoding")]
        assert efficacy
        assert min(value or 0 for value in efficacy) == 1
