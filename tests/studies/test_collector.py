"""The results of a small study: measurements at its checkpoints, records of its edits, and costs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from sequela.edits import EditSet
from sequela.reports import dropped_warnings, markdown_page, write_report
from sequela.results import (
    open_store,
)
from sequela.studies import Study, run_study
from support.runs import (
    MessageLog,
    edit_records,
    measured,
)
from support.world import World

MakeStudy = Callable[..., Study]

EVALUATIONS = 3 * (1 + 2 * 2)
"""Three suites on the unedited model and on two checkpoints of two methods."""


class TestMeasurements:
    def test_every_measurement_has_a_baseline_a_count_and_its_labels(self, finished: Path) -> None:
        for one in measured(finished):
            assert one.baseline is not None, one
            assert one.n > 0
            assert one.edit_source == "jsonl"
            assert (one.editor == "none") == (one.n_edits == 0)

    def test_the_unedited_model_is_its_own_baseline(self, finished: Path) -> None:
        unedited = measured(finished, editor="none")
        assert unedited
        assert all(one.value == one.baseline for one in unedited)

    def test_edit_baselines_are_taken_over_the_edits_of_the_checkpoint(
        self, finished: Path, world_edits: EditSet
    ) -> None:
        # After one edit the baseline is the unedited model's answers to that edit's own prompts.
        (record,) = [one for one in edit_records(finished) if (one.editor, one.position) == ("rome", 1)]
        assert record.edit_id in {edit.id for edit in world_edits}
        with open_store(finished) as store:
            (key,) = [k for k in store.evaluations() if k.n_edits == 0 and k.suite == "edit_quality"]
            of_edit = {
                (item.metric, item.protocol): item.value
                for item in store.items(key)
                if item.item == record.edit_id
            }
        after_one = measured(finished, editor="rome", n_edits=1, suite="edit_quality")
        assert after_one
        for one in after_one:
            metric = "efficacy" if one.metric == "effective_edits" else one.metric  # of one edit the same
            assert one.baseline == of_edit[(metric, one.protocol)]

    def test_success_and_retention_are_separate_at_every_checkpoint(self, finished: Path) -> None:
        for editor in ("rome", "ft-m"):
            records = [one for one in edit_records(finished) if one.editor == editor]
            for n_edits in (1, 2):
                found = measured(finished, editor=editor, n_edits=n_edits, suite="edit_quality")
                assert not measured(finished, n_edits=0, metric="effective_edits")
                (effective,) = (m for m in found if m.metric == "effective_edits")
                found = [m for m in found if m is not effective]
                by_task = {
                    task: {(m.metric, m.protocol): m for m in found if m.task == task}
                    for task in ("success@edit", "retention@n")
                }
                assert set(by_task["success@edit"]) == set(by_task["retention@n"])
                assert len(found) == sum(map(len, by_task.values()))
                assert ("efficacy", "free_decoding") in by_task["success@edit"]
                kept = by_task["retention@n"]["efficacy", "free_decoding"]
                assert effective.value == pytest.approx((kept.value or 0.0) * n_edits)
                for (metric, protocol), one in by_task["success@edit"].items():
                    own = [
                        item.value
                        for record in records[:n_edits]
                        for item in record.success
                        if (item.metric, item.protocol) == (metric, protocol)
                    ]
                    assert one.n == len(own)
                    assert one.value == pytest.approx(sum(own) / len(own))

    def test_right_after_the_only_edit_success_and_retention_are_the_same(self, finished: Path) -> None:
        found = measured(finished, editor="rome", n_edits=1, suite="edit_quality")
        values = {(one.task, one.metric, one.protocol): one.value for one in found}
        for (task, metric, protocol), value in values.items():
            if task == "success@edit":
                assert value == values[("retention@n", metric, protocol)]


@pytest.mark.slow
def test_items_longer_than_the_context_are_counted_in_every_suite(
    make_study: MakeStudy, world_folder: Path, tmp_path: Path
) -> None:
    narrow = tmp_path / "narrow"
    shutil.copytree(world_folder, narrow)
    config = json.loads((narrow / "config.json").read_text(encoding="utf-8"))
    (narrow / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 14}))
    suites = [{"name": "builtin", "limit": 3}, "perplexity"]
    study = make_study(models=[str(narrow)], editors=["ft-m"], checkpoints=[0, 1], suites=suites)

    run_study(study, tmp_path / "run")

    for suite in ("edit_quality", "builtin", "perplexity"):
        refused = [one for one in measured(tmp_path / "run", suite=suite) if one.n_too_long]
        assert refused, suite
        assert all("longer than the model's context" in one.note for one in refused)
        assert all(one.n_nonfinite == 0 for one in refused)
    page = write_report(tmp_path / "run", tmp_path / "report").read_text(encoding="utf-8")
    assert "longer than the model&#39;s context and were not run" in page


def test_edits_that_could_not_be_applied_are_counted(
    make_study: MakeStudy, world_folder: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(world_folder, broken)
    tensors = load_file(broken / "model.safetensors")
    tensors["model.layers.3.mlp.down_proj.weight"][0, 0] = float("nan")
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    rome = {"name": "rome", "settings": {"mom2_adjustment": False, "n_contexts": 0}}
    study = make_study(models=[str(broken)], editors=[rome, "ft-m"], suites=[])

    run_study(study, tmp_path / "run")

    found = measured(tmp_path / "run", n_edits=2, metric="efficacy")
    of_all = [one for one in found if one.task in ("success@edit", "retention@n")]
    assert {one.task for one in of_all} == {"success@edit", "retention@n"}
    for one in of_all:
        assert one.note.startswith(
            "2 edits dropped, counted with what the model answers without them (first: "
        )
        assert (one.value, one.n_nonfinite) == (0.0, 2)
    of_applied = [one for one in found if one not in of_all]
    assert {one.task for one in of_applied} == {"success@edit (applied)", "retention@n (applied)"}
    assert {(one.value, one.n, one.note) for one in of_applied} == {(None, 0, "2 edits dropped, not counted")}
    counts = measured(tmp_path / "run", n_edits=2, metric="dropped_edits")
    assert {(one.task, one.value, one.n) for one in counts} == {
        ("success@edit", 2, 2),
        ("retention@n", 2, 2),
    }
    assert all(record.dropped for record in edit_records(tmp_path / "run"))


@pytest.fixture(scope="session")
def one_dropped(make_study: MakeStudy, world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two edits, of which the second is longer than the model's context."""
    folder = tmp_path_factory.mktemp("one_dropped")
    first, second = world.edits(2, phrasing=-1)
    long = second.model_copy(update={"id": "long", "prompt": "so " * 300 + second.prompt})
    file = folder / "facts.jsonl"
    file.write_text(f"{first.model_dump_json()}\n{long.model_dump_json()}\n", encoding="utf-8")
    study = make_study(
        edits={"source": "jsonl", "file": str(file)}, editors=["ft-m"], checkpoints=[0, 2], suites=[]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQUELA_CACHE", str(folder / "cache"))
        log = MessageLog()
        run_study(study, folder / "run", log)
    (folder / "messages").write_text("\n".join(log.lines), encoding="utf-8")
    return folder / "run"


def test_a_dropped_edit_is_named_once_with_the_reason(one_dropped: Path) -> None:
    lines = (one_dropped.parent / "messages").read_text(encoding="utf-8").splitlines()
    (line,) = [one for one in lines if "dropped" in one]
    assert re.search(r", ft-m.*: edit 'long' dropped: prompt and target have [\d,]+ tokens; ", line)
    for page in (markdown_page(one_dropped), "\n".join(dropped_warnings(edit_records(one_dropped)))):
        assert "1 of 2 edits was dropped, so that the model doesn't have it: long (prompt and target" in page


def test_a_dropped_edit_leaves_the_scores_of_applied_edits(one_dropped: Path) -> None:
    """It says nothing about the method: the model answers as without it."""
    (record,) = [one for one in edit_records(one_dropped) if one.dropped]
    assert record.edit_id == "long"
    found = {
        (one.task, one.metric): one
        for one in measured(one_dropped, n_edits=2)
        if one.protocol in ("free_decoding", "from_edits")
    }
    for task in ("success@edit", "retention@n"):
        of_all, of_applied = found[task, "paraphrase"], found[f"{task} (applied)", "paraphrase"]
        assert (of_all.n, of_applied.n) == (2, 1)
        assert of_all.note.startswith("1 edit dropped")
        assert of_applied.note == "1 edit dropped, not counted"
        assert (found[task, "dropped_edits"].value, found[task, "dropped_edits"].n) == (1, 2)
        efficacy = found[f"{task} (applied)", "efficacy"]
        assert (efficacy.n, efficacy.baseline) == (1, 0.0)
    assert found["retention@n", "effective_edits"].n == 1
    page = markdown_page(one_dropped)
    for row in ("success@edit (applied), efficacy", "retention@n, dropped edits"):
        assert f"| {row} |" in page


@pytest.mark.slow
def test_the_page_shows_applied_edits_and_why_one_was_dropped(one_dropped: Path, tmp_path: Path) -> None:
    page = write_report(one_dropped, tmp_path).read_text(encoding="utf-8")
    assert "Efficacy of applied edits" in page
    assert "dropped: prompt and target have" in page


class TestRecords:
    def test_every_edit_has_a_complete_record(self, finished: Path) -> None:
        records = edit_records(finished)
        assert [(one.editor, one.position, one.batch) for one in records if one.editor == "rome"] == [
            ("rome", 1, 1),
            ("rome", 2, 2),
        ]
        assert len(records) == 4
        for one in records:
            assert one.seconds > 0
            assert one.optimization_steps
            assert one.final_loss < one.first_loss
            assert one.relative_norm > 0
            assert one.success
            assert one.dropped == ""
            assert all(item.task == "success@edit" and item.item == one.edit_id for item in one.success)


class TestCosts:
    def test_costs_are_stored_for_every_step(self, finished: Path) -> None:
        with open_store(finished) as store:
            steps = [cost.step for cost in store.costs()]
        assert steps.count("edit") == 4
        assert steps.count("evaluate") == EVALUATIONS
        assert steps.count("load model") == 1


def test_seeds_with_equal_orders_are_measured_separately(make_study: MakeStudy, tmp_path: Path) -> None:
    # Of two edits there are two orders, so two of three seeds must shuffle alike.
    study = make_study(order_seeds=[0, 1, 2], editors=["ft-m"], checkpoints=[0, 1], suites=[])
    result = run_study(study, tmp_path / "run")
    assert result.done == result.planned == 1 + 3
    assert {one.order_seed for one in measured(tmp_path / "run", editor="ft-m")} == {0, 1, 2}
