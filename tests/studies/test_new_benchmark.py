"""Adding a benchmark takes one task file, either next to the built-in ones or named in a study."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from sequela.cli.main import app
from sequela.core.errors import BadInputError
from sequela.evaluation.lm_eval import task_file
from sequela.evaluation.registry import list_suites, suite_names
from sequela.reports.report_data import read_report_data
from sequela.results import Query, Section, open_store, read_manifest
from sequela.studies import Study, run_study
from sequela.studies.plan import make_plan
from sequela.studies.rescoring import rescore_run
from support.studies import small_study, write_edits
from support.tiny import tiny_language_model
from support.world import World

FT_M = [{"name": "ft-m", "settings": {"num_steps": 3, "lr": 1e-3}}]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Items of the new benchmark in the user's folder of data sets."""
    rows = [
        {"question": f"Mo has {i} pens and buys one. How many?", "answer": f"#### {i + 1}"} for i in range(4)
    ]
    folder = tmp_path / "data" / "svamp"
    folder.mkdir(parents=True)
    (folder / "test.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    monkeypatch.setenv("SEQUELA_DATA", str(tmp_path / "data"))
    return folder


@pytest.fixture
def svamp(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The built-in task files and a copy of that of GSM8K under another name."""
    folder = Path(shutil.copytree(task_file.FOLDER, tmp_path / "task_files"))
    content = yaml.safe_load((folder / "gsm8k-generation.yaml").read_text(encoding="utf-8"))
    content |= {"benchmark": "svamp", "title": "SVAMP", "section": "Safety", "max_new_tokens": 4}
    content |= {"local": {"path": "svamp/test.jsonl"}}
    del content["order"], content["official_items"]
    path = folder / "svamp-generation.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.setattr(task_file, "FOLDER", folder)
    task_file.task_files.cache_clear()
    yield path
    task_file.task_files.cache_clear()


@pytest.fixture
def edits(world: World, tmp_path: Path) -> Path:
    return write_edits(tmp_path / "facts.jsonl", world, 1)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    model = tiny_language_model("llama")
    model.module.save_pretrained(tmp_path / "tiny")
    model.tokenizer.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def study_with(suite: dict[str, object], tiny: Path, edits: Path) -> Study:
    return Study.model_validate(small_study(tiny, edits, editors=FT_M, checkpoints=[0, 1], suites=[suite]))


def test_an_added_file_is_listed_after_the_others(svamp: Path) -> None:
    assert suite_names()[-1] == "svamp"
    (reported,) = [one for one in list_suites() if one.name == "svamp"]
    assert (reported.task, reported.here, reported.protocol) == ("svamp@1", 4, "generation")
    answer = CliRunner().invoke(app, ["tasks", "svamp", "--json"])
    assert (answer.exit_code, [one["name"] for one in json.loads(answer.stdout)]) == (0, ["svamp"])


def test_it_is_planned_run_shown_reported_and_rescored(
    svamp: Path, tiny: Path, edits: Path, tmp_path: Path
) -> None:
    study = study_with({"name": "svamp", "num_fewshot": 0}, tiny, edits)
    assert set(make_plan(study).suite_versions()) == {"svamp", "edit_quality"}
    run_study(study, tmp_path / "run")
    with open_store(tmp_path / "run") as store:
        found = store.measurements(Query(suite="svamp", metric="accuracy"))
    assert {(one.task, one.n_edits, one.n) for one in found} == {("svamp_0shot@1", n, 4) for n in (0, 1)}
    svamp.unlink()  # what a report says of it is in the run
    task_file.task_files.cache_clear()
    assert {read_manifest(tmp_path / "run").suites.section_of(one) for one in found} == {Section.SAFETY}
    contents = read_report_data(tmp_path / "run")
    (safety,) = [part for part in contents.sections if part.title == "Safety"]
    assert "SVAMP 0shot (v1): accuracy" in {figure.title for figure in safety.figures}
    shown = CliRunner().invoke(app, ["results", str(tmp_path / "run")], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert "SVAMP 0shot (v1)" in shown.stdout
    assert "svamp" in rescore_run(tmp_path / "run").left


@pytest.fixture
def capitals(tmp_path: Path) -> Path:
    """A task file with its items, and without the settings that its protocol implies."""
    content = {
        "benchmark": "capitals",
        "title": "Capitals",
        "section": "Safety",
        "protocol": "answers",
        "version": 1,
        "what": "Capitals of countries.",
        "metric_info": {"accuracy": {"title": "right capitals", "meaning": "the share of right capitals"}},
        "items": "capitals.jsonl",
        "harness": {
            "doc_to_text": "The capital of {{country}} is",
            "doc_to_choice": "{{cities}}",
            "doc_to_target": 0,
        },
    }
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    rows = [
        {"country": "Italy", "cities": ["Rome", "Oslo"]},
        {"country": "Norway", "cities": ["Oslo", "Rome"]},
    ]
    (tmp_path / "capitals.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path


@pytest.mark.slow
def test_a_task_file_that_a_study_names_suffices(
    capitals: Path, tiny: Path, edits: Path, tmp_path: Path
) -> None:
    run_study(study_with({"name": str(capitals)}, tiny, edits), tmp_path / "run")
    capitals.unlink()  # its titles, its section and its metrics are in the run
    with open_store(tmp_path / "run") as store:
        found = {(one.task, one.metric) for one in store.measurements() if one.suite == "capitals"}
    assert found == {("capitals@1", "accuracy"), ("capitals@1", "accuracy_per_byte")}
    contents = read_report_data(tmp_path / "run")
    (safety,) = [part for part in contents.sections if part.title == "Safety"]
    titles = {figure.title for figure in safety.figures}
    assert titles >= {"Capitals (v1): right capitals", "Capitals (v1): accuracy per byte"}
    assert ("right capitals", "the share of right capitals") in contents.meanings
    assert [column.title for column in contents.summary.columns][-1] == "Capitals (v1), right capitals"
    shown = CliRunner().invoke(app, ["results", str(tmp_path / "run"), "--markdown"])
    assert "| Capitals (v1), right capitals |" in shown.stdout


def test_only_metrics_that_are_reported_can_be_described(capitals: Path) -> None:
    content = yaml.safe_load(capitals.read_text(encoding="utf-8"))
    capitals.write_text(yaml.safe_dump({**content, "metric_info": {"auroc": {"title": "x"}}}), "utf-8")
    with pytest.raises(BadInputError, match="metric_info describes 'auroc'; reported are accuracy"):
        task_file.read_task_file(capitals)
