"""Runs of a study on a small model: their results, and the effect of interruptions."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sequela.core.errors import BadInputError, SequelaError, UnknownNameError
from sequela.core.precision import choose_precision
from sequela.core.progress import SilentProgress
from sequela.core.workload import Workload
from sequela.editors import create_editor, method_info
from sequela.editors.storage import DELTA, DESCRIPTION
from sequela.edits import EditSet
from sequela.evaluation.suites.builtin import BuiltinSuite
from sequela.inference import DepthCache, TorchEngine, WorkingMemory
from sequela.models import load_model
from sequela.reports import write_report
from sequela.results import (
    EditRecord,
    Measurement,
    Query,
    Status,
    open_store,
    read_manifest,
)
from sequela.studies import Study, run_study
from sequela.studies.peak_memory import peak_memory_bytes
from sequela.studies.pieces import QUICK_TOKENS

MakeStudy = Callable[..., Study]

EVALUATIONS = 3 * (1 + 2 * 2)
"""Three suites on the unedited model and on two checkpoints of two methods."""


class StopAt(SilentProgress):
    """Raises KeyboardInterrupt when a task with a given prefix has started a number of times."""

    def __init__(self, description: str, times: int) -> None:
        self.description, self.left = description, times

    def start(self, description: str, total: int | None) -> int:
        if description.startswith(self.description):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return 0


class StopAfterMessage(SilentProgress):
    """Raises KeyboardInterrupt when a message contains a given text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def say(self, message: str) -> None:
        if self.text in message:
            raise KeyboardInterrupt


class MessageLog(SilentProgress):
    """Records messages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)


def expected_blocks(study: Study) -> set[int]:
    """The lowest blocks that a study's methods edit."""
    model = load_model(study.models[0], device="cpu")
    return {create_editor(one.name, one.settings).lowest_block(model) for one in study.editors}


def measured(folder: Path, **wanted: object) -> list[Measurement]:
    with open_store(folder) as store:
        return store.measurements(Query(**wanted))  # type: ignore[arg-type]


def edit_records(folder: Path) -> list[EditRecord]:
    with open_store(folder) as store:
        return store.edit_records()


def checkpoint_files(folder: Path) -> dict[str, bytes]:
    """The bytes of the deltas of all checkpoints, by their path within the run."""
    paths = [path for name in (DELTA, DESCRIPTION) for path in folder.rglob(name)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


class TestAFinishedRun:
    def test_it_is_complete_and_has_every_evaluation(self, finished: Path) -> None:
        manifest = read_manifest(finished)
        with open_store(finished) as store:
            done = store.count_evaluations()
        assert manifest.status is Status.COMPLETE
        assert manifest.ended is not None
        assert done == manifest.evaluations_planned == EVALUATIONS
        assert manifest.incompleteness(done) is None

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

    def test_costs_are_stored_for_every_step(self, finished: Path) -> None:
        with open_store(finished) as store:
            steps = [cost.step for cost in store.costs()]
        assert steps.count("edit") == 4
        assert steps.count("evaluate") == EVALUATIONS
        assert steps.count("load model") == 1

    def test_the_manifest_describes_the_run(self, finished: Path, make_study: MakeStudy) -> None:
        manifest = read_manifest(finished)
        given = make_study().model_dump(mode="json")
        reported = [editor.pop("settings") for editor in manifest.config["editors"]]
        for settings, editor in zip(reported, given["editors"], strict=True):
            # What was given, and every default beside it: a version with others can't go on.
            assert set(method_info(editor["name"]).settings.model_fields) == set(settings)
            assert editor.pop("settings").items() <= settings.items()
        assert manifest.config == given
        assert set(manifest.suite_versions) == {"edit_quality", "builtin", "perplexity"}
        assert set(manifest.model_hashes) == set(make_study().models)


class WorkloadLog(SilentProgress):
    """Records the workload, its label when tasks start, and messages."""

    workload: Workload

    def __init__(self) -> None:
        self.begun: list[tuple[str, str]] = []
        self.lines: list[str] = []

    def watch(self, workload: Workload | None) -> None:
        if workload is not None:
            self.workload = workload

    def start(self, description: str, total: int | None) -> int:
        self.begun.append((self.workload.label, description))
        return 0

    def say(self, message: str) -> None:
        self.lines.append(message)


class TestProgress:
    @pytest.fixture
    def watched(self, make_study: MakeStudy, tmp_path: Path) -> WorkloadLog:
        log = WorkloadLog()
        run_study(make_study(alarms={"every": 1}), tmp_path / "run", log)
        return log

    def test_every_piece_is_done_in_the_end(self, watched: WorkloadLog) -> None:
        edits, alarms, loading, preparing, answers = 4, 1 + 4, 1, 2, 1
        assert watched.workload.n_done == watched.workload.n_pieces
        assert watched.workload.n_pieces == EVALUATIONS + edits + alarms + loading + preparing + answers

    def test_every_task_belongs_to_a_piece_labeled_with_suite_and_checkpoint(
        self, watched: WorkloadLog
    ) -> None:
        assert all(label for label, _ in watched.begun)
        assert ("ft-m, 2 edits, perplexity", "scoring requests") in watched.begun
        assert ("ft-m, 1 edit, edit_quality", "generating tokens") in watched.begun
        assert ("rome (r-rome, no covariance): edit 2 of 2", "targets, steps") in watched.begun

    def test_numbers_are_logged_at_once_the_first_before_editors_prepare(self, watched: WorkloadLog) -> None:
        lines = [line for line in watched.lines if ": perplexity " in line]
        assert [line.partition(":")[0].rpartition(", perplexity")[0] for line in lines] == [
            "unedited model",
            *(
                f"{editor}, {n}"
                for editor in ("rome (r-rome, no covariance)", "ft-m")
                for n in ("1 edit", "2 edits")
            ),
        ]
        first = watched.lines.index(lines[0])
        assert not any("measuring" in line for line in watched.lines[:first])

    def test_a_resumed_run_counts_stored_pieces_as_done(
        self, watched: WorkloadLog, make_study: MakeStudy, tmp_path: Path
    ) -> None:
        again = WorkloadLog()
        run_study(make_study(alarms={"every": 1}), tmp_path / "run", again)
        assert again.workload.n_done == again.workload.n_pieces == watched.workload.n_pieces


class TestAStoppedRun:
    @pytest.mark.parametrize(
        "stop",
        [
            pytest.param(
                lambda: StopAfterMessage("rome (r-rome, no covariance): edit 2"), id="between edits"
            ),
            pytest.param(lambda: StopAt("scoring", 8), id="inside an evaluation"),
            pytest.param(lambda: StopAfterMessage("ft-m: measuring after 2"), id="at the end"),
        ],
    )
    def test_a_resumed_run_equals_an_uninterrupted_one(
        self, stop: Callable[[], SilentProgress], make_study: MakeStudy, finished: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "run"
        stopped = run_study(make_study(), folder, stop())
        assert stopped.status is Status.STOPPED
        assert read_manifest(folder).status is Status.STOPPED
        assert 0 < stopped.done < stopped.planned == EVALUATIONS
        before = measured(folder)
        assert before
        assert all(one in measured(finished) for one in before)

        ended = run_study(make_study(), folder)
        assert (ended.status, ended.done) == (Status.COMPLETE, EVALUATIONS)
        assert measured(folder) == measured(finished)
        assert checkpoint_files(folder) == checkpoint_files(finished)
        assert len(checkpoint_files(folder)) == 2 * 2 * 2
        without_times = {"seconds"}
        assert [one.model_dump(exclude=without_times) for one in edit_records(folder)] == [
            one.model_dump(exclude=without_times) for one in edit_records(finished)
        ]

    def test_finished_evaluations_are_not_repeated(
        self, make_study: MakeStudy, finished: Path, tmp_path: Path
    ) -> None:
        folder = shutil.copytree(finished, tmp_path / "run")
        with open_store(folder) as store:
            before = len(store.costs())
        result = run_study(make_study(), folder)
        with open_store(folder) as store:
            again = [cost.step for cost in store.costs()][before:]
        assert result.status is Status.COMPLETE
        assert not {"edit", "evaluate"} & set(again)

    def test_a_changed_study_is_rejected_in_the_same_folder(
        self, make_study: MakeStudy, finished: Path, tmp_path: Path
    ) -> None:
        folder = shutil.copytree(finished, tmp_path / "run")
        with pytest.raises(SequelaError, match="another study") as caught:
            run_study(make_study(checkpoints=[0, 2]), folder)
        assert "--output" in str(caught.value)
        assert read_manifest(folder) == read_manifest(finished)

    def test_a_changed_model_is_rejected(self, make_study: MakeStudy, finished: Path, tmp_path: Path) -> None:
        folder = shutil.copytree(finished, tmp_path / "run")
        path = folder / "manifest.json"
        manifest = json.loads(path.read_text())
        (name,) = manifest["model_hashes"]
        manifest["model_hashes"][name] = "0" * 16
        path.write_text(json.dumps(manifest))
        with pytest.raises(SequelaError, match="no longer the model"):
            run_study(make_study(), folder)

    def test_two_names_of_one_model_are_rejected(
        self, make_study: MakeStudy, world_folder: Path, tmp_path: Path
    ) -> None:
        twin = tmp_path / "twin"
        twin.symlink_to(world_folder)
        study = make_study(
            models=[str(world_folder), str(twin)], editors=["ft-m"], checkpoints=[0, 1], suites=[]
        )
        with pytest.raises(SequelaError, match="are the same model"):
            run_study(study, tmp_path / "run")


def test_seeds_with_equal_orders_are_measured_separately(make_study: MakeStudy, tmp_path: Path) -> None:
    # Of two edits there are two orders, so two of three seeds must shuffle alike.
    study = make_study(order_seeds=[0, 1, 2], editors=["ft-m"], checkpoints=[0, 1], suites=[])
    result = run_study(study, tmp_path / "run")
    assert result.done == result.planned == 1 + 3
    assert {one.order_seed for one in measured(tmp_path / "run", editor="ft-m")} == {0, 1, 2}


class TestErrorsBeforeTheRun:
    def test_a_folder_that_cannot_be_created(self, make_study: MakeStudy, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(SequelaError, match="Can't write to"):
            run_study(make_study(models=["/no/model"]), tmp_path / "file" / "run")

    def test_too_little_space(
        self, make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 99, 1))
        with pytest.raises(SequelaError, match="MiB of free space"):
            run_study(make_study(models=["/no/model"]), tmp_path / "run")

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ({"subject": "Karsk", "prompt": "Mira lives in", "target_new": "Ulm"}, "no {} for the subject"),
            ({"subject": "Karsk", "prompt": "{} is in", "target_new": " "}, "'target_new' is empty"),
            ({"subject": "Karsk", "prompt": "{} is in"}, "'target_new' is missing"),
        ],
    )
    def test_an_invalid_record_by_file_and_number(
        self, make_study: MakeStudy, tmp_path: Path, line: dict[str, str], expected: str
    ) -> None:
        path = tmp_path / "own.jsonl"
        good = {"id": "0", "subject": "Karsk", "prompt": "{} is in", "target_new": "Ulm"}
        path.write_text("\n".join(json.dumps(one) for one in (good, {"id": "1", **line})) + "\n")
        study = make_study(models=["/no/model"], edits={"source": str(path)}, checkpoints=[0, 1])
        with pytest.raises(BadInputError, match=r"own\.jsonl, record 2: ") as caught:
            run_study(study, tmp_path / "run")
        assert expected in str(caught.value)
        assert not (tmp_path / "run").exists()

    def test_a_missing_text_for_statistics(self, make_study: MakeStudy, tmp_path: Path) -> None:
        study = make_study(statistics={"source": "nowhere.txt"})
        with pytest.raises(BadInputError, match=r"nowhere\.txt"):
            run_study(study, tmp_path / "run")
        assert measured(tmp_path / "run") == []

    def test_a_layer_outside_the_model(
        self, make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        study = make_study(
            editors=[{"name": "ft-m", "settings": {"layers": [99]}}],
            suites=["perplexity", {"name": "builtin", "limit": 2}],
        )
        monkeypatch.setattr(BuiltinSuite, "n_tokens", QUICK_TOKENS + 1)
        with pytest.raises(SequelaError, match="layer 99"):
            run_study(study, tmp_path / "run")
        # Only what takes seconds is measured before editors get ready.
        assert {(one.suite, one.editor) for one in measured(tmp_path / "run")} == {("perplexity", "none")}


class TestMemory:
    def test_the_depth_cache_changes_no_bit(
        self, make_study: MakeStudy, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engines: list[TorchEngine] = []

        class Kept(TorchEngine):
            def __init__(self, memory: WorkingMemory | None = None, depth_cache: DepthCache | None = None):
                super().__init__(memory, depth_cache)
                engines.append(self)

        class Forgetful(Kept):
            def __init__(self, memory: WorkingMemory | None = None, depth_cache: DepthCache | None = None):
                super().__init__(memory, None)

        blocks = {}
        for engine in (Kept, Forgetful):
            monkeypatch.setattr("sequela.inference.torch.opening.TorchEngine", engine)
            run_study(make_study(), tmp_path / engine.__name__)
            assert measured(tmp_path / engine.__name__) == measured(finished)
            blocks[engine] = engines[-1].counters.computed_blocks
        keeping, forgetful = engines  # one for the whole run
        assert keeping.depth_cache is not None
        assert keeping.depth_cache.expected == expected_blocks(make_study())
        assert keeping.counters.unique_tokens == forgetful.counters.unique_tokens
        assert blocks[Kept] < 0.8 * blocks[Forgetful]

    def test_a_limit_is_divided_reported_and_changes_nothing(
        self, make_study: MakeStudy, finished: Path, tmp_path: Path
    ) -> None:
        log = MessageLog()
        run_study(make_study(memory="1.5GiB"), tmp_path / "run", log)
        (description,) = [line for line in log.lines if line.startswith("memory: ")]
        assert "hidden states" in description
        assert measured(tmp_path / "run") == measured(finished)
        assert read_manifest(tmp_path / "run").config["memory"] == 3 * 2**29

    def test_a_run_may_be_resumed_with_another_limit(
        self, make_study: MakeStudy, finished: Path, tmp_path: Path
    ) -> None:
        stopped = run_study(make_study(), tmp_path / "run", StopAfterMessage("ft-m: edit 1"))
        assert stopped.status is Status.STOPPED
        assert run_study(make_study(memory="2GiB"), tmp_path / "run").status is Status.COMPLETE
        assert measured(tmp_path / "run") == measured(finished)

    def test_a_limit_that_is_too_low_is_reported_before_any_measurement(
        self, make_study: MakeStudy, tmp_path: Path
    ) -> None:
        with pytest.raises(SequelaError, match="A memory limit of 100 MiB is too low"):
            run_study(make_study(memory="100MiB"), tmp_path / "run")
        assert measured(tmp_path / "run") == []

    def test_peak_memory_is_that_of_this_process(self, finished: Path) -> None:
        page = 2**20  # the system counts pages a little late
        before = peak_memory_bytes()
        block = torch.ones((before + 64 * page) // 4)  # more than the process has held so far
        peak = peak_memory_bytes()
        assert peak >= block.numel() * 4
        del block
        assert peak_memory_bytes() == pytest.approx(peak, abs=8 * page)
        with open_store(finished) as store:
            assert all(0 < (cost.peak_memory_bytes or 0) <= peak for cost in store.costs())


class TestPrecision:
    def test_auto_precision_follows_the_hardware_and_is_recorded(
        self, make_study: MakeStudy, tmp_path: Path
    ) -> None:
        log = MessageLog()
        study = make_study(dtype="auto", editors=["ft-m"], checkpoints=[0, 1], suites=[])
        run_study(study, tmp_path / "run", log)
        chosen = choose_precision("auto", torch.device("cpu"))
        manifest = read_manifest(tmp_path / "run")
        assert manifest.config["dtype"] == chosen.name
        assert manifest.environment.precision == str(chosen)
        assert f"weights in {chosen}" in log.lines
        with pytest.raises(SequelaError, match="another study"):
            run_study(study.model_copy(update={"dtype": "float16"}), tmp_path / "run")

    def test_methods_edit_a_model_in_bfloat16(self, make_study: MakeStudy, tmp_path: Path) -> None:
        run_study(make_study(dtype="bfloat16"), tmp_path / "run")
        assert read_manifest(tmp_path / "run").environment.precision == "bfloat16"
        assert not any(record.dropped for record in edit_records(tmp_path / "run"))
        for one in measured(tmp_path / "run"):
            assert (one.n_nonfinite, one.n_too_long) == (0, 0)

    def test_an_unknown_one_is_reported(self, make_study: MakeStudy, tmp_path: Path) -> None:
        with pytest.raises(UnknownNameError, match="float23"):
            run_study(make_study().model_copy(update={"dtype": "float23"}), tmp_path / "run")
        assert not (tmp_path / "run" / "manifest.json").exists()


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


class TestAFailedRun:
    def test_a_failing_evaluation_leaves_nothing_behind(
        self, make_study: MakeStudy, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "run"
        evaluate = BuiltinSuite.evaluate
        calls = 0

        def fails_the_second_time(self, model, engine, progress):  # type: ignore[no-untyped-def]
            nonlocal calls
            calls += 1
            if calls == 2:
                evaluate(self, model, engine, progress)
                raise RuntimeError("the ruler broke")
            return evaluate(self, model, engine, progress)

        with monkeypatch.context() as patch:
            patch.setattr(BuiltinSuite, "evaluate", fails_the_second_time)
            with pytest.raises(RuntimeError, match="the ruler broke"):
                run_study(make_study(), folder)
        manifest = read_manifest(folder)
        assert (manifest.status, manifest.error) == (Status.FAILED, "the ruler broke")
        with open_store(folder) as store:
            done = store.count_evaluations()
        reported = manifest.incompleteness(done)
        assert reported is not None
        assert "the ruler broke" in reported
        assert measured(folder, suite="builtin", n_edits=1) == []

        assert run_study(make_study(), folder).status is Status.COMPLETE
        assert measured(folder) == measured(finished)
        assert read_manifest(folder).error == ""

    def test_a_full_disk_is_reported(
        self, make_study: MakeStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "run"
        blocked = folder / "checkpoints"

        class BlockLater(SilentProgress):
            def say(self, message: str) -> None:
                if "edit 1" in message:
                    blocked.write_text("no folder can be made here")

        with pytest.raises(SequelaError, match="failed: ") as caught:
            run_study(make_study(editors=["ft-m"], suites=[]), folder, BlockLater())
        assert "same command" in str(caught.value)
        assert read_manifest(folder).status is Status.FAILED


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
    assert {one.task for one in found} == {"success@edit", "retention@n"}
    for one in found:
        assert one.note.startswith("2 of 2 edits could not be applied")
        assert (one.value, one.n_nonfinite) == (0.0, 2)
    assert all(record.dropped for record in edit_records(tmp_path / "run"))
