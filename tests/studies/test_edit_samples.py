"""Samples of edits as an axis of a study, beside the order of the edits."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sequela.cli.main import app
from sequela.core.errors import BadInputError
from sequela.reports import markdown_page
from sequela.reports.html import render
from sequela.reports.report_data import read_report_data
from sequela.results import EDIT_QUALITY, UNEDITED, Measurement, Query, open_store, read_manifest
from sequela.studies import Study, run_study
from sequela.studies.bisect import bisect_run
from sequela.studies.pieces import pieces_of
from sequela.studies.plan import make_plan
from support.runs import edit_records, measured
from support.studies import small_study, write_edits
from support.world import World

MakeStudy = Callable[..., Study]

ROME = {"name": "rome", "settings": {"mom2_adjustment": False, "n_contexts": 1, "v_num_grad_steps": 8}}


@pytest.fixture(scope="session")
def make_sampled(world_folder: Path, world: World, tmp_path_factory: pytest.TempPathFactory) -> MakeStudy:
    """Makes a study of samples of two of six edits; keyword arguments are keys that are to differ."""
    file = write_edits(tmp_path_factory.mktemp("samples") / "facts.jsonl", world, 6)

    def make(samples: list[int] | None, **changes: Any) -> Study:
        edits: dict[str, Any] = {"source": "jsonl", "file": str(file), "count": 2}
        if samples is not None:
            edits["samples"] = samples
        content = {"editors": [ROME], "checkpoints": [0, 2], "edits": edits, **changes}
        return Study.model_validate(small_study(world_folder, file, **content))

    return make


@pytest.fixture(scope="session")
def sampled(make_sampled: MakeStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two samples in two orders; for reading only."""
    folder = tmp_path_factory.mktemp("sampled") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQUELA_CACHE", str(folder.parent / "cache"))
        run_study(make_sampled([0, 1], order_seeds=[0, 1], alarms={"every": 1}), folder)
    return folder


def output_of(*words: object) -> str:
    """Returns the output of a command on a wide terminal."""
    result = CliRunner().invoke(
        app, list(map(str, words)), prog_name="sequela", env={"COLUMNS": "200"}, catch_exceptions=False
    )
    assert result.exit_code == 0
    return result.stdout


def rows(folder: Path, **wanted: Any) -> list[Measurement]:
    """Returns the measurements of a run, without health."""
    return [one for one in measured(folder, **wanted) if one.suite != "alarms"]


class TestARun:
    """Two samples in two orders."""

    def test_every_sample_is_edited_in_every_order(self, sampled: Path, make_sampled: MakeStudy) -> None:
        plan = make_plan(make_sampled([0, 1]))
        by_trajectory: dict[tuple[int | None, int], list[str]] = {}
        for one in edit_records(sampled):
            by_trajectory.setdefault((one.edit_sample, one.order_seed), []).append(one.edit_id)
        assert set(by_trajectory) == set(itertools.product((0, 1), (0, 1)))
        for (sample, seed), ids in by_trajectory.items():
            assert ids == [edit.id for edit in plan.samples[sample].shuffled(seed)]
        assert {edit.id for edit in plan.samples[0]} != {edit.id for edit in plan.samples[1]}

    def test_all_planned_evaluations_are_done(self, sampled: Path) -> None:
        manifest = read_manifest(sampled)
        with open_store(sampled) as store:
            assert manifest.incompleteness(manifest.n_done(store.evaluations())) is None
            assert store.damage() == []
            suites = Counter(key.suite for key in store.evaluations())
        assert suites == {
            EDIT_QUALITY: 2 + 4,  # the unedited model once for each sample, and the four trajectories
            "builtin": 1 + 4,
            "perplexity": 1 + 4,
            "alarms": 1 + 4 * 2,
        }

    def test_benchmarks_of_the_unedited_model_belong_to_no_sample(self, sampled: Path) -> None:
        unedited = measured(sampled, editor=UNEDITED)
        assert {one.edit_sample for one in unedited if one.suite == EDIT_QUALITY} == {0, 1}
        assert {one.edit_sample for one in unedited if one.suite != EDIT_QUALITY} == {None}
        assert {one.edit_sample for one in measured(sampled) if one.editor != UNEDITED} == {0, 1}

    def test_scores_are_compared_with_the_unedited_model_on_the_edits_of_their_sample(
        self, sampled: Path
    ) -> None:
        with open_store(sampled) as store:
            for key in store.evaluations():
                if key.suite == EDIT_QUALITY and key.n_edits:
                    (first, *_) = store.measurements(key=key)
                    before = store.measurements(Query(editor=UNEDITED, edit_sample=first.edit_sample))
                    known = {one.series: one.value for one in before}
                    own = [one for one in store.measurements(key=key) if one.series in known]
                    assert own
                    assert all(one.baseline == known[one.series] for one in own)

    def test_costs_and_findings_have_their_sample(self, sampled: Path) -> None:
        with open_store(sampled) as store:
            costs = store.costs()
        of_edits = {one.edit_sample for one in costs if one.step == "edit"}
        assert of_edits == {0, 1}
        assert {one.edit_sample for one in costs if one.step == "load model"} == {None}
        manifest = read_manifest(sampled)
        assert {one.edit_sample for some in manifest.edit_findings.values() for one in some} <= {0, 1}
        assert manifest.seeds["edit_samples"] == [0, 1]
        assert {name.rpartition(", ")[2] for name in manifest.edit_set_hashes} == {"sample 0", "sample 1"}
        assert len(set(manifest.edit_set_hashes.values())) == 2

    def test_bisection_names_the_sample(self, sampled: Path) -> None:
        found = bisect_run(sampled, "perplexity > 1e9")
        assert {(one.edit_sample, one.order_seed) for one in found} == set(itertools.product((0, 1), (0, 1)))

    def test_the_page_has_a_row_for_each_sample_and_order(self, sampled: Path) -> None:
        data = read_report_data(sampled)
        edited = [row for row in data.summary.rows if row.n_edits]
        assert [(row.edit_sample, row.order_seed) for row in edited] == [(0, 0), (0, 1), (1, 0), (1, 1)]
        unedited = [row for row in data.summary.rows if not row.n_edits]
        assert [row.edit_sample for row in unedited] == [0, 1]
        missing = [column.title.startswith("success@edit") for column in data.summary.columns]
        assert all([cell is None for cell in row.cells] == missing for row in unedited)
        (means,) = data.sample_means
        assert (means.n_samples, means.n_trajectories, means.n_edits) == (2, 4, 2)
        assert "means over samples" in markdown_page(sampled)
        page = render(data)
        assert "Means over samples of edits" in page
        assert "sample 1, shuffle seed 0" in page
        assert '<th class="number">Sample</th><th class="number">Shuffle seed</th>' in page
        assert "sample 1, shuffle seed 0" in markdown_page(sampled)

    def test_the_commands_show_the_sample(self, sampled: Path) -> None:
        shown = output_of("results", sampled, "--all").splitlines()
        assert "sample" in next(line for line in shown if "seed" in line)
        assert "sample 1, shuffle seed 0" in output_of("results", sampled)
        found = json.loads(output_of("results", sampled, "--json"))
        assert {(one["edit_sample"], one["order_seed"]) for one in found if one["n_edits"]} == set(
            itertools.product((0, 1), (0, 1))
        )


def test_a_sample_does_not_depend_on_the_others(
    make_sampled: MakeStudy, sampled: Path, done: Counter[str], tmp_path: Path
) -> None:
    """Neither its keys nor its results, so that the rows of a study of one sample are those among several."""
    run_study(make_sampled([0], order_seeds=[0, 1]), tmp_path / "alone")
    assert done["rome"] == 2 * 2
    for sample in (0, None):  # what belongs to no sample is the same too
        found = rows(tmp_path / "alone", edit_sample=sample)
        of_both = rows(sampled, edit_sample=sample)
        if sample is None:
            found, of_both = ([one for one in some if one.edit_sample is None] for some in (found, of_both))
        assert found == of_both
    with open_store(tmp_path / "alone") as one, open_store(sampled) as both:
        assert set(one.evaluations()) <= set(both.evaluations())


def test_another_sample_costs_only_its_own_trajectories(
    make_sampled: MakeStudy, done: Counter[str], tmp_path: Path
) -> None:
    run_study(make_sampled([1]), tmp_path / "one")
    assert done == {"rome": 2, "unedited": 1, "edited": 1}
    done.clear()
    run_study(make_sampled([0, 1], name="two"), tmp_path / "two")
    assert done == {"rome": 2, "edited": 1}
    assert rows(tmp_path / "two", edit_sample=1) == rows(tmp_path / "one", edit_sample=1)


def test_samples_of_the_same_edits_are_measured_once_and_listed_twice(
    make_sampled: MakeStudy, done: Counter[str], tmp_path: Path
) -> None:
    edits = make_plan(make_sampled(list(range(40)))).samples
    ids = {sample: [edit.id for edit in of_sample] for sample, of_sample in edits.items()}
    same = next([one, other] for one, other in itertools.combinations(ids, 2) if ids[one] == ids[other])
    run_study(make_sampled(same), tmp_path / "run")
    assert done == {"rome": 2, "unedited": 1, "edited": 1}
    first, second = (rows(tmp_path / "run", edit_sample=sample) for sample in same)
    assert [one.model_copy(update={"edit_sample": same[1]}) for one in first] == second


@pytest.mark.parametrize("samples", [None, [5], [2, 0, 9]])
def test_the_plan_counts_samples(make_sampled: MakeStudy, samples: list[int] | None) -> None:
    plan = make_plan(make_sampled(samples, order_seeds=[0, 1, 2]))
    n = len(samples or [None])
    assert plan.n_evaluations == (2 + n) + n * 3 * 3
    pieces = Counter(piece.kind[0] for piece in pieces_of(plan))
    assert pieces["evaluate"] == plan.n_evaluations + n  # and the reference answers
    assert pieces["edit"] == n * 3
    assert tuple(plan.samples) == (tuple(samples) if samples else (None,))


def test_a_study_without_samples_takes_the_first_edits(make_sampled: MakeStudy) -> None:
    study = make_sampled(None)
    plan = make_plan(study)
    assert plan.samples == {None: plan.edits}
    assert len(plan.edits) == 2
    assert "samples" not in study.model_dump()["edits"]  # so that runs of earlier versions can go on


def test_the_edits_of_a_plan_are_those_of_its_samples(make_sampled: MakeStudy) -> None:
    all_of = {number: make_plan(make_sampled([number])).edits.edits for number in range(6)}
    plan = make_plan(make_sampled(list(range(6))))
    assert {number: edits.edits for number, edits in plan.samples.items()} == all_of
    assert set(plan.edits) == {edit for edits in all_of.values() for edit in edits}


def test_samples_of_the_whole_source_are_rejected(make_sampled: MakeStudy) -> None:
    study = make_sampled([0, 1])
    whole = study.model_copy(update={"edits": study.edits.model_copy(update={"count": 6})})
    with pytest.raises(BadInputError, match="the 2 samples would be the same"):
        make_plan(whole)
    larger = study.model_copy(update={"edits": study.edits.model_copy(update={"count": 7})})
    with pytest.raises(BadInputError, match="has 6 edits; 7 were requested"):
        make_plan(larger)
