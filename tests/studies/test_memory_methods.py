"""Memory-based methods in a study: hits are counted, and other answers are unchanged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.results import UNEDITED, Query, open_store
from sequela.results.metrics import HIT_RATE
from sequela.studies import Study, run_study
from sequela.studies.bisect import bisect_run
from sequela.studies.rescoring import rescore_run
from support.tiers import quick_cases

METHODS = {
    "grace": ({"layers": [2], "num_steps": 30, "lr": 0.3}, "eps"),
    "melo": ({"layers": [1, 2, 3], "num_steps": 30}, "init_radius"),
}
"""Settings of the memory-based methods, with the name of the radius."""
FT_M = {"name": "ft-m", "settings": {"num_steps": 30, "lr": 2e-3}}


@pytest.fixture(scope="module", params=quick_cases(METHODS, ["grace"]))
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def narrow_and_wide(
    make_study: Callable[..., Study], tmp_path_factory: pytest.TempPathFactory, method: str
) -> list[Path]:
    """A run in which only the edits' own prompts are hits, and one in which every prompt is."""
    folders, (given, radius) = [], METHODS[method]
    for eps in (1e-2, 1e6):
        folder = tmp_path_factory.mktemp("memory") / "run"
        editor = {"name": method, "settings": {**given, radius: eps}}
        run_study(make_study(editors=[editor, FT_M], alarms={"every": 1}), folder)
        folders.append(folder)
    return folders


def test_every_suite_reports_its_hit_rate(narrow_and_wide: list[Path], method: str) -> None:
    for folder, share in zip(narrow_and_wide, (0.0, 1.0), strict=True):
        with open_store(folder) as store:
            rates = [one for one in store.measurements() if one.metric == HIT_RATE.name]
        assert {(one.editor, one.n_edits) for one in rates} == {(method, 1), (method, 2)}
        assert {one.suite for one in rates} == {"builtin", "perplexity"}
        assert all(one.value == share and one.n > 0 for one in rates)


def test_edit_quality_reports_hits_by_metric(narrow_and_wide: list[Path], method: str) -> None:
    for folder, elsewhere in zip(narrow_and_wide, (0.0, 1.0), strict=True):
        with open_store(folder) as store:
            found = store.measurements(Query(suite="edit_quality", editor=method, protocol="hits"))
            others = store.measurements(Query(suite="edit_quality", editor="ft-m", protocol="hits"))
        assert not others
        assert {one.value for one in found if one.metric == "efficacy"} == {1.0}
        assert {one.value for one in found if one.metric == "neighborhood"} == {elsewhere}


def test_without_hits_every_score_and_item_equals_the_unedited_model_s(
    narrow_and_wide: list[Path], method: str
) -> None:
    with open_store(narrow_and_wide[0]) as store:
        for suite in ("builtin", "perplexity"):
            (base,) = [key for key in store.evaluations() if key.suite == suite and key.n_edits == 0]
            before = {(i.task, i.metric, i.item): i for i in store.items(base)}
            for key in store.evaluations():
                labels = store.measurements(key=key)[0]
                if key.suite == suite and labels.editor == method:
                    assert {(i.task, i.metric, i.item): i for i in store.items(key)} == before
            found = store.measurements(Query(suite=suite, editor=method))
            assert all(one.value == one.baseline for one in found if one.metric != HIT_RATE.name)
        made = store.measurements(Query(suite="edit_quality", editor=method))
        efficacy = [one.value for one in made if (one.metric, one.protocol) == ("efficacy", "free_decoding")]
        assert efficacy
        assert min(value or 0 for value in efficacy) > 0.5


def test_with_hits_everywhere_the_model_is_damaged(narrow_and_wide: list[Path], method: str) -> None:
    with open_store(narrow_and_wide[1]) as store:
        (last,) = store.measurements(Query(suite="perplexity", metric="perplexity", editor=method, n_edits=2))
        assert last.value != last.baseline
        base = store.measurements(Query(suite="builtin", editor=UNEDITED))
    assert not [one for one in base if one.metric == HIT_RATE.name]


def test_health_metrics_and_bisection_include_memory_based_edits(
    narrow_and_wide: list[Path], method: str
) -> None:
    narrow, wide = narrow_and_wide
    (silent,) = bisect_run(narrow, "kl_to_base > 0", editor=method)
    assert silent.edit is None
    (trigger,) = bisect_run(wide, "kl_to_base > 0", editor=method)
    assert trigger.edit == 1


def test_rescoring_keeps_the_hit_rates(narrow_and_wide: list[Path]) -> None:
    folder = narrow_and_wide[0]
    rescore_run(folder)
    with open_store(folder) as store:
        assert {one.suite for one in store.measurements() if one.metric == HIT_RATE.name} == {
            "builtin",
            "perplexity",
        }
