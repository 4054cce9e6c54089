"""Changes of a study in words, and the evaluations that they concern."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.core.precision import choose_precision
from sequela.models.loading import choose_device
from sequela.results import Manifest
from sequela.studies import Study
from sequela.studies.grid import Evaluation, describe, evaluations
from sequela.studies.plan import make_plan
from sequela.studies.run_manifest import open_manifest
from sequela.studies.study_changes import changes_between
from sequela.studies.study_update import StudyUpdate
from sequela.studies.trajectory_names import method_of, names_of_model
from support.studies import SUITES

ROME_ONE: dict[str, Any] = {"name": "rome", "settings": {"mom2_adjustment": False}}
FT_M: dict[str, Any] = {"name": "ft-m", "settings": {"num_steps": 3}}

REPORT, SKIP = ({"action": action, "relative_norm": 0.5} for action in ("report", "skip"))

ManifestOf = Callable[..., Manifest]


@pytest.fixture(scope="module")
def manifest_of(make_study: Callable[..., Study], tmp_path_factory: pytest.TempPathFactory) -> ManifestOf:
    """Makes the manifest of a run of the small study with changed keys."""

    def make(**changes: Any) -> Manifest:
        plan = make_plan(make_study(**{"editors": [ROME_ONE, FT_M], **changes}))
        precision = choose_precision(plan.study.dtype, choose_device(plan.study.device))
        return open_manifest(plan, tmp_path_factory.getbasetemp(), "", precision, None)[0]

    return make


def sentences(earlier: Manifest, current: Manifest) -> list[str]:
    return [one.sentence for one in changes_between(earlier, current)]


def test_no_change_has_no_words(manifest_of: ManifestOf) -> None:
    assert sentences(manifest_of(), manifest_of(memory="8GiB")) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"models": ["another"]}, ["models: MODEL is gone, with its results", "models: another is new"]),
        ({"editors": [ROME_ONE]}, ["editors: ft-m is gone, with its results"]),
        ({"editors": [FT_M, ROME_ONE]}, ["editors: they are in another order; all results stay"]),
        ({"editors": [ROME_ONE, FT_M, {**FT_M, "batch_size": 2}], "checkpoints": [0, 2]},
         ["checkpoints: 1 is gone, with its results", "editors: ft-m in batches of 2 is new"]),
        ({"editors": [ROME_ONE, FT_M, {"name": "ft-m", "settings": {"preset": "own.yaml"}}]},
         ["editors: ft-m (preset: own.yaml) is new"]),
        ({"suites": SUITES[:1]}, ["suites: perplexity is gone, with its results"]),
        ({"on_bad_edit": "skip"},
         [f"on_bad_edit: {REPORT} became {SKIP}; all trajectories are measured again"]),
    ],
)  # fmt: skip
def test_changes_in_words(manifest_of: ManifestOf, changes: dict[str, Any], said: list[str]) -> None:
    earlier = manifest_of()
    (model,) = earlier.config["models"]
    assert sentences(earlier, manifest_of(**changes)) == [one.replace("MODEL", model) for one in said]


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_every_evaluation_has_one_fate(manifest_of: ManifestOf, data: st.DataObject) -> None:
    """All that stays, is measured again or is new is the study; all that is removed is named."""
    whole = manifest_of(order_seeds=[0, 1, 2])

    def part_of(values: list[Any]) -> list[Any]:
        return data.draw(st.lists(st.sampled_from(values), min_size=1, unique_by=str))

    def drawn() -> Manifest:
        names = [*part_of([one for one in whole.suite_versions if one != "edit_quality"]), "edit_quality"]
        config = {
            **whole.config,
            "models": part_of(["m", "m, n", "o"]),
            "suites": [one for name in names for one in whole.config["suites"] if one["name"] == name],
            "editors": part_of(whole.config["editors"]),
            "order_seeds": part_of([0, 1, 2]),
            "checkpoints": [0, *sorted(part_of([1, 2, 3, 4]))],
            "alarms": {**whole.config["alarms"], "every": data.draw(st.sampled_from([0, 2]))},
            "seed": data.draw(st.sampled_from([0, 0, 1])),
        }
        return whole.model_copy(
            update={
                "config": config,
                "given": config,
                "suite_versions": {name: whole.suite_versions[name] for name in dict.fromkeys(names)},
            }
        )

    earlier, current = drawn(), drawn()
    update = StudyUpdate(earlier, current)
    now, before = set(evaluations(current)), set(evaluations(earlier))
    parts = [set(update.staying), set(update.again), set(update.new)]
    assert set.union(*parts) == now
    assert sum(map(len, parts)) == len(now)
    assert set(update.staying) | set(update.again) | set(update.removed) == before
    assert not set(update.removed) & now
    if not update.changes:
        assert set(update.staying) == now
    assert StudyUpdate(earlier, earlier).changes == []


def test_another_sample_leaves_the_others(manifest_of: ManifestOf) -> None:
    edits = manifest_of().config["edits"]

    def of_samples(*samples: int) -> Manifest:
        return manifest_of(edits={**edits, "count": 1, "samples": samples}, checkpoints=[0, 1])

    two = of_samples(0, 1)
    assert sentences(two, of_samples(0, 1, 2)) == ["edits.samples: 2 is new"]
    assert sentences(two, of_samples(1)) == ["edits.samples: 0 is gone, with its results"]
    assert sentences(two, of_samples(1, 0)) == ["edits.samples: they are in another order; all results stay"]
    more = StudyUpdate(two, of_samples(1, 2))
    assert {one.sample for one in more.staying if one.suite == "edit_quality"} == {1}
    assert {one.sample for one in more.new} == {2}
    assert {one.sample for one in more.removed} == {0}
    assert describe([one for one in more.new if one.is_edited and one.method == "rome"]) == [
        f"{two.config['models'][0]}: rome, sample 2, shuffle seed 0, after 1 edit: "
        "builtin, perplexity, edit_quality"
    ]
    first = manifest_of(edits={**edits, "count": 1}, checkpoints=[0, 1])
    (all_others,) = sentences(first, two)
    assert all_others.endswith("; everything is measured again")


def test_evaluations_are_described_in_few_lines() -> None:
    chosen = [
        Evaluation(model, method, None, seed, n_edits, suite)
        for model in ("a", "b")
        for method in ("rome", "memit", "ft-m")
        for seed in (0, 1)
        for n_edits in (1, 10)
        for suite in ("edit_quality", "mmlu")
    ]
    everything = "shuffle seeds 0, 1, after 1, 10 edits: edit_quality, mmlu"
    assert describe(chosen) == [f"a and b: rome, memit and ft-m, {everything}"]
    assert describe(chosen[1:]) == [
        "a: rome, shuffle seed 0, after 1 edit: mmlu",
        "a: rome, shuffle seed 0, after 10 edits: edit_quality, mmlu",
        "a: rome, shuffle seed 1, after 1, 10 edits: edit_quality, mmlu",
        f"a: memit and ft-m, {everything}",
        f"b: rome, memit and ft-m, {everything}",
    ]


def test_names_of_trajectories() -> None:
    names = ["m, rome, shuffle seed 0", "m, n, rome, shuffle seed 0"]
    assert names_of_model(names, "m", ["m", "m, n"]) == names[:1]
    assert names_of_model(names, "m, n", ["m", "m, n"]) == names[1:]
    assert method_of("m, mend, shuffle seed 0") == "m, mend"
    assert method_of("m, mend (batches of 10), shuffle seed 0") == "m, mend"
    assert method_of("m, mend (sparse, batches of 2), shuffle seed -1") == "m, mend (sparse)"
    assert method_of("m, mend (batches of 10), sample 3, shuffle seed 0") == "m, mend"
