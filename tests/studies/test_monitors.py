"""Health monitoring in a study: metrics between checkpoints, early ends, and bisection."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sequela.core.errors import BadInputError, SequelaError
from sequela.edited import Delta, Dense, EditedModel
from sequela.editors import create_editor
from sequela.evaluation.monitor_rules import HEALTH_METRICS, HealthRule, MonitorSettings, due_edit_counts
from sequela.evaluation.monitors import HealthMonitor, health_results
from sequela.inference import TorchEngine
from sequela.models import LanguageModel
from sequela.results import ALARMS, Measurement, Query, Status, open_store, read_manifest
from sequela.studies import Study, run_study
from sequela.studies.bisect import bisect_run
from sequela.studies.checkpoints import Checkpoint, load_checkpoint
from support.studies import small_study, write_edits
from support.world import World

MakeStudy = Callable[..., Study]


@pytest.fixture(scope="session")
def make_four(tmp_path_factory: pytest.TempPathFactory, world_folder: Path, world: World) -> MakeStudy:
    """Returns a study of four edits with one method of the small study."""
    edits = write_edits(tmp_path_factory.mktemp("four") / "facts.jsonl", world, 4)

    def make(editor: str, **changes: object) -> Study:
        content = small_study(world_folder, edits, **{"checkpoints": [0, 4], **changes})
        content["editors"] = [one for one in content["editors"] if one["name"] == editor]
        content["suites"] = [{"name": "perplexity"}]
        return Study.model_validate(content)

    return make


def random_delta(model: LanguageModel, scale: float = 0.01) -> Delta:
    """A change of the last layer's output weight."""
    name = model.family.mlp_out_name(model.n_layers - 1)
    shape = model.family.as_out_in(model.module.get_parameter(name)).shape
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return Delta(model.fingerprint, {name: Dense(noise * scale)})


def readings(folder: Path, **wanted: object) -> list[Measurement]:
    with open_store(folder) as store:
        return store.measurements(Query(suite=ALARMS, **wanted))  # type: ignore[arg-type]


class TestRules:
    def test_a_rule_is_a_metric_and_a_limit(self) -> None:
        rule = HealthRule.parse(" perplexity >3x ")
        assert (rule.metric, rule.limit, rule.relative) == ("perplexity", 3.0, True)
        assert rule.is_triggered({"perplexity": 31.0}, {"perplexity": 10.0})
        assert not rule.is_triggered({"perplexity": 30.0}, {"perplexity": 10.0})
        plain = HealthRule.parse("kl_to_base > 1e-2")
        assert plain.is_triggered({"kl_to_base": 0.02}, {"kl_to_base": 0.0})
        assert not plain.is_triggered({}, {})

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_a_non_finite_value_triggers(self, value: float) -> None:
        assert HealthRule.parse("perplexity > 3x").is_triggered({"perplexity": value}, {"perplexity": 10.0})

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("perplexity", "Invalid health rule"),
            ("perplexity > many", "Invalid health rule"),
            ("perplexity > 1.2.3", "Invalid health rule"),
            ("loss > 3", "Unknown health metric 'loss'"),
            ("kl_to_base > 3x", "a multiple of the unedited model's kl_to_base, which is 0"),
        ],
    )
    def test_invalid_rules_are_rejected_with_the_allowed_metrics(self, text: str, message: str) -> None:
        with pytest.raises(BadInputError, match=message):
            HealthRule.parse(text)
        with pytest.raises(ValueError, match=message):
            MonitorSettings(stop_when=(text,))

    def test_a_single_rule_needs_no_list(self) -> None:
        assert MonitorSettings.model_validate({"stop_when": "perplexity > 3x"}).stop_when == (
            "perplexity > 3x",
        )

    def test_metrics_are_due_at_the_ends_of_batches(self) -> None:
        assert due_edit_counts(iter([1, 2, 3, 4, 5]), 2) == [2, 4]
        assert due_edit_counts(iter([3, 6, 9, 10]), 5) == [6, 10]
        assert due_edit_counts(iter([3, 6]), 0) == []


class TestHealthMetrics:
    def test_of_the_unedited_model(self, world_model: LanguageModel) -> None:
        alarms = HealthMonitor(world_model, TorchEngine())
        assert set(alarms.unedited) == set(HEALTH_METRICS)
        plain = {name: value for name, value in alarms.unedited.items() if name != "perplexity"}
        ratios = {"weight_norm", "top_singular_value", "condition_number"}
        assert plain == {name: 1.0 if name in ratios else 0.0 for name in plain}

    def test_of_a_change(self, world_model: LanguageModel) -> None:
        alarms, delta = HealthMonitor(world_model, TorchEngine()), random_delta(world_model)
        found = alarms.measure(EditedModel(world_model, delta))
        (name,) = delta.updates
        weight = world_model.family.as_out_in(world_model.module.get_parameter(name).data).double()
        change = delta.updates[name].to_dense()
        assert found["relative_change"] == pytest.approx(float(change.norm() / weight.norm()))
        assert found["weight_norm"] == pytest.approx(float((weight + change).norm() / weight.norm()))
        ratio = float((weight + change).svd().S[0] / weight.svd().S[0])
        assert found["top_singular_value"] == pytest.approx(max(1.0, ratio))
        assert found["kl_to_base"] > 0
        assert found["nonfinite"] == 0

    def test_of_a_model_that_broke_down(self, world_model: LanguageModel) -> None:
        alarms, delta = (
            HealthMonitor(world_model, TorchEngine()),
            random_delta(world_model, scale=float("nan")),
        )
        found = alarms.measure(EditedModel(world_model, delta))
        assert found["nonfinite"] > 0
        assert HealthRule.parse("perplexity > 10x").is_triggered(found, alarms.unedited)
        assert all(
            HealthRule.parse(f"{name} > 100").is_triggered(found, alarms.unedited)
            for name in found
            if name not in ("nonfinite", "perplexity")
        )
        for result in health_results(found):
            assert result.value is None or result.metric == "nonfinite"


class TestInAStudy:
    def test_they_are_measured_when_due_and_change_no_other_result(
        self, make_four: MakeStudy, tmp_path: Path
    ) -> None:
        plain = make_four("ft-m")
        alarmed = make_four("ft-m", alarms={"every": 2})
        run_study(plain, tmp_path / "plain")
        result = run_study(alarmed, tmp_path / "alarmed")
        assert result.status is Status.COMPLETE
        assert result.done == result.planned
        found = readings(tmp_path / "alarmed")
        assert {one.n_edits for one in found} == {0, 2, 4}
        assert {one.metric for one in found} <= set(HEALTH_METRICS)
        with open_store(tmp_path / "plain") as one, open_store(tmp_path / "alarmed") as other:
            kept = [m for m in other.measurements() if m.suite != ALARMS]
            assert kept == one.measurements()
        perplexities = {m.n_edits: m.value for m in found if m.metric == "perplexity"}
        with open_store(tmp_path / "plain") as store:
            at_four = store.measurements(Query(suite="perplexity", metric="perplexity", n_edits=4))
        assert perplexities[4] == pytest.approx(at_four[0].value)

    def test_a_rule_ends_a_trajectory(self, make_four: MakeStudy, tmp_path: Path) -> None:
        study = make_four(
            "ft-m",
            alarms={"every": 1, "stop_when": "relative_change > 1e-9"},
        )
        result = run_study(study, tmp_path)
        assert result.status is Status.COMPLETE
        assert result.done == result.planned
        (note,) = read_manifest(tmp_path).notes
        assert "stopped after 1 edit: triggered health rule relative_change > 1e-9" in note
        assert {one.n_edits for one in readings(tmp_path)} == {0, 1}
        triggered_rules = [one.note for one in readings(tmp_path, n_edits=1)]
        assert all("triggered health rule relative_change > 1e-9" in one for one in triggered_rules)

    def test_a_checkpoint_at_which_a_rule_ends_the_trajectory_is_measured(
        self, make_four: MakeStudy, tmp_path: Path
    ) -> None:
        study = make_four(
            "ft-m", checkpoints=[0, 2, 4], alarms={"every": 2, "stop_when": "relative_change > 1e-9"}
        )
        result = run_study(study, tmp_path)
        assert (result.status, result.done) == (Status.COMPLETE, result.planned)
        with open_store(tmp_path) as store:
            measured = {(one.suite, one.n_edits) for one in store.measurements()}
        assert {suite for suite, n_edits in measured if n_edits == 2} == {
            "edit_quality",
            "perplexity",
            ALARMS,
        }
        assert not [suite for suite, n_edits in measured if n_edits == 4]

    def test_a_stop_at_the_last_checkpoint_leaves_none_out(
        self, make_four: MakeStudy, tmp_path: Path
    ) -> None:
        rule = "relative_change > 1e-9"
        study = make_four("ft-m", checkpoints=[0, 1], suites=[], alarms={"every": 1, "stop_when": rule})
        result = run_study(study, tmp_path)
        assert (result.status, result.done) == (Status.COMPLETE, result.planned)
        (note,) = read_manifest(tmp_path).notes
        assert note.endswith(f"stopped after 1 edit: triggered health rule {rule}.")

    @pytest.mark.parametrize("checkpoints", [[0, 2, 4], [0, 4]], ids=["at a checkpoint", "before one"])
    def test_a_trajectory_that_a_rule_ended_does_not_go_on(
        self, checkpoints: list[int], make_four: MakeStudy, tmp_path: Path
    ) -> None:
        study = make_four(
            "ft-m", checkpoints=checkpoints, alarms={"every": 2, "stop_when": "relative_change > 1e-9"}
        )
        first = run_study(study, tmp_path)
        before = read_manifest(tmp_path)
        with open_store(tmp_path) as store:
            results, costs = store.measurements(), store.costs()
        again = run_study(study, tmp_path)
        with open_store(tmp_path) as store:
            assert store.measurements() == results
            assert [one for one in store.costs() if one.step == "edit"] == [
                one for one in costs if one.step == "edit"
            ]
        assert again == first
        assert read_manifest(tmp_path).notes == before.notes


def n_done_of(folder: Path) -> int:
    with open_store(folder) as store:
        return read_manifest(folder).n_done(store.evaluations())


def planned_of(folder: Path) -> int:
    return read_manifest(folder).evaluations_planned


class TestBisection:
    @pytest.mark.parametrize("editor", ["rome", pytest.param("ft-m", marks=pytest.mark.slow)])
    def test_finds_the_first_edit_that_triggers_a_rule(
        self, editor: str, make_four: MakeStudy, tmp_path: Path
    ) -> None:
        study = make_four(editor, alarms={"every": 1})
        run_study(study, tmp_path / "every")
        known = {
            one.n_edits: one.value or 0.0
            for one in readings(tmp_path / "every")
            if one.metric == "relative_change"
        }
        limit = (known[2] + known[3]) / 2  # so that the third edit is the first to trigger it
        assert known[1] < known[2] < known[3] < known[4]
        sparse = make_four(editor)
        run_study(sparse, tmp_path / "sparse")
        (found,) = bisect_run(tmp_path / "sparse", f"relative_change > {limit}")
        assert found.edit == 3
        assert (found.before, found.after) == (pytest.approx(known[2]), pytest.approx(known[3]))
        assert found.record is not None
        assert found.record.position == 3
        assert found.n_readings <= 3
        assert (found.n_reapplied > 0) == (editor == "ft-m")  # dense changes aren't kept edit by edit
        kept = {one.n_edits for one in readings(tmp_path / "sparse")}
        assert {2, 3, 4} <= kept
        assert all(n_done_of(tmp_path / name) == planned_of(tmp_path / name) for name in ("every", "sparse"))
        with open_store(tmp_path / "sparse") as store:
            stored = store.evaluations()
        manifest = read_manifest(tmp_path / "sparse")
        assert len(stored) > manifest.evaluations_planned  # with what the bisection measured
        lacking = [one for one in stored if one != next(key for key in stored if key.suite != ALARMS)]
        done = manifest.n_done(lacking)
        assert (len(lacking) >= manifest.evaluations_planned) > (manifest.incompleteness(done) is None)
        assert run_study(sparse, tmp_path / "sparse").done == manifest.evaluations_planned

    def test_a_rule_that_is_never_triggered(self, finished: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(finished, tmp_path / "run")
        found = bisect_run(folder, "perplexity > 1e9x")
        assert {one.edit for one in found} == {None}

    def test_a_rule_that_the_unedited_model_meets_blames_no_edit(
        self, finished: Path, tmp_path: Path
    ) -> None:
        folder = shutil.copytree(finished, tmp_path / "run")
        found = bisect_run(folder, "perplexity > 0.5x")
        assert {(one.edit, one.record, one.before, one.n_readings) for one in found} == {(0, None, None, 0)}
        assert all(one.after == one.unedited for one in found)

    def test_invalid_arguments_are_rejected(self, finished: Path, tmp_path: Path) -> None:
        with pytest.raises(BadInputError, match="Invalid health rule"):
            bisect_run(finished, "when it breaks")
        with pytest.raises(SequelaError, match=r"no method 'memit'\.\nIt has ft-m, rome\."):
            bisect_run(shutil.copytree(finished, tmp_path / "run"), "perplexity > 2x", editor="memit")
        with pytest.raises(SequelaError, match=r"no results|no run"):
            bisect_run(tmp_path, "perplexity > 2x")


@pytest.mark.slow
def test_a_checkpoint_recovers_earlier_deltas_bit_for_bit(
    make_four: MakeStudy, tmp_path: Path, world_model: LanguageModel
) -> None:
    study = make_four("rome", checkpoints=[0, 1, 2, 3, 4])
    run_study(study, tmp_path / "each")
    run_study(make_four("rome"), tmp_path / "last")

    def checkpoint(run: str, n: int) -> Checkpoint:
        (folder,) = (tmp_path / run / "checkpoints").glob(f"*/{n}")
        found = load_checkpoint(folder, n, world_model, create_editor("rome"))
        assert found is not None
        return found

    last = checkpoint("last", 4)
    for n in (1, 2, 3, 4):
        earlier = last.delta_after(n)
        assert isinstance(earlier, Delta)
        assert earlier.content_hash == checkpoint("each", n).delta.content_hash
    assert last.delta_after(5) is None
