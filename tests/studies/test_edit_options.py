"""Batches, regularizers, presets and bad edits in a study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sequela.core.errors import BadInputError
from sequela.editors.presets import Preset, write_preset
from sequela.reports import markdown_page, write_report
from sequela.results import Query, Status, open_store, read_manifest
from sequela.studies import Study, run_study
from sequela.studies.study_file import study_from_text

MakeStudy = Callable[..., Study]

ROME: dict[str, Any] = {
    "name": "rome",
    "settings": {"mom2_adjustment": False, "n_contexts": 1, "v_num_grad_steps": 8},
}
FT: dict[str, Any] = {"name": "ft-m", "settings": {"num_steps": 5, "lr": 2e-3}}


def test_batch_sizes_are_distinguished(make_study: MakeStudy, tmp_path: Path) -> None:
    study = make_study(editors=[FT, {**FT, "batch_size": 2}], checkpoints=[0, 2], suites=[])
    run_study(study, tmp_path)
    with open_store(tmp_path) as store:
        found = store.measurements(Query(editor="ft-m"))
        assert {one.variant for one in found} == {"", "batches of 2"}
        assert {one.batch for one in store.edit_records() if one.variant} == {1}
    assert "batches of 2" in write_report(tmp_path, tmp_path / "report").read_text(encoding="utf-8")


def test_a_batch_for_a_method_without_batches_is_rejected_with_its_line(make_study: MakeStudy) -> None:
    content = make_study().model_dump(mode="json")
    content["editors"] = [{**ROME, "batch_size": 2}]
    text = yaml.safe_dump(
        {"name": "x", "models": content["models"], "editors": content["editors"], "checkpoints": [2]}
    )
    with pytest.raises(BadInputError, match=r"my.yaml, line \d+: rome applies one edit at a time"):
        study_from_text(text, "my.yaml")


def test_a_regularized_method_runs_in_a_study(make_study: MakeStudy, tmp_path: Path) -> None:
    regularized = {"name": "rome+rect", "settings": {**ROME["settings"], "rect": {"keep": 0.2}}}
    run_study(make_study(editors=[ROME, regularized], suites=[]), tmp_path)
    with open_store(tmp_path) as store:
        assert {one.editor for one in store.measurements()} == {"none", "rome", "rome+rect"}
        norms = {one.editor: one.relative_norm for one in store.edit_records()}
    assert norms["rome+rect"] < norms["rome"]
    assert read_manifest(tmp_path).config["editors"][1]["settings"]["rect"] == {"keep": 0.2}


def test_settings_are_taken_from_a_preset_file(make_study: MakeStudy, tmp_path: Path) -> None:
    path = tmp_path / "tuned.yaml"
    preset = Preset(
        editor="ft-m",
        models=("any",),
        presets=("recommended",),
        provenance="tuned",
        source="here",
        settings={"layers": [1], "num_steps": 2},
    )
    write_preset(path, preset)
    editor = {"name": "ft-m", "settings": {"preset": str(path), "lr": 2e-3}}
    run_study(make_study(editors=[editor], checkpoints=[1], suites=[]), tmp_path / "run")
    with open_store(tmp_path / "run") as store:
        (record,) = store.edit_records()
    assert record.optimization_steps <= 2


class TestBadEdits:
    @pytest.fixture
    def run(self, make_study: MakeStudy, tmp_path: Path) -> Callable[[Any], Path]:
        def made(on_bad_edit: Any) -> Path:
            folder = tmp_path / "run"
            run_study(make_study(editors=[ROME], suites=[], on_bad_edit=on_bad_edit), folder)
            return folder

        return made

    def test_they_are_reported(self, run: Callable[[Any], Path]) -> None:
        with open_store(run({"relative_norm": 1e-6})) as store:
            records, found = store.edit_records(), store.measurements()
        notes = {one.note for one in found if one.task == "retention@n" and one.n_edits == 2}
        assert any("2 of 2 edits are bad (first: edit 1, " in note for note in notes)
        assert all("explosive" in record.warning and not record.dropped for record in records)

    def test_they_are_skipped_and_counted(self, run: Callable[[Any], Path]) -> None:
        folder = run({"action": "skip", "relative_norm": 1e-6})
        with open_store(folder) as store:
            records, found = store.edit_records(), store.measurements()
        assert len(records) == 2
        assert all("explosive" in record.dropped for record in records)
        after = [one for one in found if one.n_edits == 2]
        kept = [one for one in after if one.task == "retention@n" and one.protocol != "from_edits"]
        assert kept
        assert all(one.note.startswith("2 edits dropped, ") for one in kept)
        of_applied = [one for one in after if one.task == "retention@n (applied)"]
        assert {(one.metric, one.protocol) for one in of_applied} == {
            (one.metric, one.protocol) for one in kept if one.metric != "effective_edits"
        }
        assert all((one.value, one.n) == (None, 0) for one in of_applied)
        (effective,) = [one for one in kept if one.metric == "effective_edits"]
        assert effective.value == 0
        page = markdown_page(folder)
        assert "| retention@n (applied), efficacy |" in page
        assert "| retention@n, dropped edits |" in page
        assert read_manifest(folder).status is Status.COMPLETE

    def test_they_end_the_trajectory(self, run: Callable[[Any], Path]) -> None:
        folder = run({"action": "stop", "relative_norm": 1e-6})
        manifest = read_manifest(folder)
        with open_store(folder) as store:
            assert len(store.edit_records()) == 1
            assert store.count_evaluations() == manifest.evaluations_planned == 1
            assert manifest.incompleteness(store.count_evaluations()) is None
        assert manifest.status is Status.COMPLETE
        (note,) = (note for note in manifest.notes if "stopped after 0 edits" in note)
        assert "Checkpoints not reached: 1, 2." in note
        page = write_report(folder, folder / "report").read_text(encoding="utf-8")
        assert "stopped after 0 edits" in page

    def test_resuming_such_a_run_changes_nothing(self, run: Callable[[Any], Path]) -> None:
        policy = {"action": "stop", "relative_norm": 1e-6}
        before = read_manifest(run(policy))
        after = read_manifest(run(policy))
        assert after.evaluations_planned == before.evaluations_planned
        assert after.notes == before.notes

    def test_a_bare_action_suffices(self, make_study: MakeStudy) -> None:
        assert make_study(on_bad_edit="skip").on_bad_edit.action == "skip"
