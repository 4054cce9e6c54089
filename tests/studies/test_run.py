"""Runs of a study on a small model: finished, stopped and failed ones, and errors before the run."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from sequela.core.errors import BadInputError, SequelaError
from sequela.core.progress import SilentProgress
from sequela.evaluation.suites.builtin import BuiltinSuite
from sequela.results import Status, open_store, read_manifest
from sequela.results.manifest import MANIFEST_NAME
from sequela.studies import Study, run_study
from sequela.studies.failed_tasks import FailedTasksError
from sequela.studies.pieces import QUICK_TOKENS
from support.runs import (
    MessageLog,
    StopAfterMessage,
    StopAt,
    WorkloadLog,
    checkpoint_files,
    edit_records,
    measured,
)

MakeStudy = Callable[..., Study]

EVALUATIONS = 3 * (1 + 2 * 2)
"""Three suites on the unedited model and on two checkpoints of two methods."""


class TestAFinishedRun:
    def test_it_is_complete_and_has_every_evaluation(self, finished: Path) -> None:
        manifest = read_manifest(finished)
        with open_store(finished) as store:
            done = store.count_evaluations()
        assert manifest.status is Status.COMPLETE
        assert manifest.ended is not None
        assert done == manifest.evaluations_planned == EVALUATIONS
        assert manifest.incompleteness(done) is None

    def test_the_same_study_again_measures_nothing_and_changes_nothing(
        self, make_study: MakeStudy, finished: Path, tmp_path: Path
    ) -> None:
        folder = shutil.copytree(finished, tmp_path / "run")
        before = (folder / MANIFEST_NAME).read_bytes()
        log = WorkloadLog()
        result = run_study(make_study(), folder, log, command="another command")
        assert (result.status, result.done, result.planned) == (Status.COMPLETE, 15, 15)
        assert (folder / MANIFEST_NAME).read_bytes() == before
        with open_store(finished) as first, open_store(folder) as again:
            assert again.costs() == first.costs()
        assert log.lines[0] == (
            "all 15 evaluations are done already; checking that models and methods are the same"
        )
        assert not any("measuring" in line or "reference answers" in line for line in log.lines)
        assert log.workload.n_done == log.workload.n_pieces


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
        with pytest.raises(SequelaError, match=r"1 byte of free space; 200\.0 MiB"):
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


class TestAFailedRun:
    def test_a_failing_evaluation_leaves_nothing_behind(
        self, make_study: MakeStudy, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "run"
        evaluate = BuiltinSuite.evaluate
        calls = 0

        def fails_from_the_second_to_the_fourth_time(self, model, engine, progress):  # type: ignore[no-untyped-def]
            nonlocal calls
            calls += 1
            found = evaluate(self, model, engine, progress)
            if 2 <= calls <= 4:
                raise RuntimeError("the ruler broke")
            return found

        with monkeypatch.context() as patch:
            patch.setattr(BuiltinSuite, "evaluate", fails_from_the_second_to_the_fourth_time)
            with pytest.raises(FailedTasksError, match="failed after 3 tries: RuntimeError: the ruler broke"):
                run_study(make_study(), folder)
        assert calls == 1 + 3 + 3  # three tries of one task, and the other three evaluations of edited models
        manifest = read_manifest(folder)
        assert manifest.status is Status.FAILED
        assert "the ruler broke" in manifest.error
        with open_store(folder) as store:
            done = store.count_evaluations()
        reported = manifest.incompleteness(done)
        assert reported is not None
        assert "the ruler broke" in reported
        (builtin,) = {one.editor for one in measured(folder, suite="builtin", n_edits=1)}
        assert builtin == "ft-m"

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
                if "edit 1 " in message:
                    blocked.write_text("no folder can be made here")

        with pytest.raises(SequelaError, match="failed: ") as caught:
            run_study(make_study(editors=["ft-m"], suites=[]), folder, BlockLater())
        assert "same command" in str(caught.value)
        assert read_manifest(folder).status is Status.FAILED


class TestAStoppedRun:
    @pytest.mark.parametrize(
        "stop",
        [
            pytest.param(
                lambda: StopAfterMessage("rome (r-rome, no covariance): edit 2"),
                id="between edits",
                marks=pytest.mark.slow,
            ),
            pytest.param(lambda: StopAt("scoring", 8), id="inside an evaluation"),
            pytest.param(
                lambda: StopAfterMessage("ft-m: measuring after 2"), id="at the end", marks=pytest.mark.slow
            ),
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

        resumed = MessageLog()
        ended = run_study(make_study(), folder, resumed)
        assert resumed.lines[0] == f"{stopped.done} of {EVALUATIONS} evaluations are done and kept"
        assert (ended.status, ended.done) == (Status.COMPLETE, EVALUATIONS)
        assert measured(folder) == measured(finished)
        assert checkpoint_files(folder) == checkpoint_files(finished)
        assert len(checkpoint_files(folder)) == 2 * 2 * 2
        with open_store(folder) as store:
            edit_costs = [(one.label, one.n_edits) for one in store.costs() if one.step == "edit"]
        assert len(edit_costs) == len(set(edit_costs)) == 2 * 2  # edits applied again count once
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
