"""Tasks of the harness in studies, reports and commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sequela.cli.main import app
from sequela.core.errors import BadInputError
from sequela.reports.report_data import read_report_data
from sequela.results import Query, open_store
from sequela.studies import Study, run_study
from sequela.studies.rescoring import rescore_run
from sequela.studies.study_file import study_from_text
from support.harness_data import XWINOGRAD
from support.studies import small_study, write_edits, write_study
from support.tiny import tiny_language_model
from support.world import World

Write = Callable[..., Path]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    model = tiny_language_model("llama", max_position_embeddings=512)
    folder = tmp_path / "tiny"
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


def test_a_study_measures_and_reports_them(
    local_data: Write, tiny: Path, world: World, tmp_path: Path
) -> None:
    local_data("arc_easy", *XWINOGRAD)
    content = small_study(
        tiny,
        write_edits(tmp_path / "facts.jsonl", world, 1),
        editors=[{"name": "ft-m", "settings": {"num_steps": 3, "lr": 1e-3}}],
        checkpoints=[0, 1],
        suites=[{"name": "lm_eval", "task": "arc_easy", "limit": 4}, "lm_eval:xwinograd"],
        edit_quality={"max_new_tokens": 1, "max_neighborhood": 0},
    )
    run_study(Study.model_validate(content), tmp_path / "run")
    with open_store(tmp_path / "run") as store:
        accuracy = store.measurements(Query(suite="lm_eval:arc_easy", metric="acc"))
        of_group = store.measurements(Query(suite="lm_eval:xwinograd"))
    assert [(one.n_edits, one.n) for one in accuracy] == [(0, 4), (1, 4)]
    assert all(one.baseline is not None for one in accuracy)
    assert {one.task.partition(" ")[0] for one in of_group} == {"xwinograd", *XWINOGRAD}
    contents = read_report_data(tmp_path / "run")
    (abilities,) = [part for part in contents.sections if part.title == "Abilities"]
    titles = {figure.title for figure in abilities.figures}
    assert any(title.startswith("Arc easy (harness ") for title in titles)
    assert any(title.startswith("Xwinograd (harness ") for title in titles)
    assert not any(title.startswith("Xwinograd fr") for title in titles)  # a subtask of the group
    assert {"lm_eval:arc_easy", "lm_eval:xwinograd"} <= set(rescore_run(tmp_path / "run").left)


def test_evaluate_runs_a_task_by_name(local_data: Write, tiny: Path) -> None:
    local_data("hellaswag")
    ran = CliRunner().invoke(
        app,
        ["evaluate", str(tiny), "--suite", "lm_eval:hellaswag", "--limit", "3", "--json", "--device", "cpu"],
    )
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert [(one["metric"], one["n"]) for one in found] == [("acc", 3), ("acc_norm", 3)]


def test_the_error_for_an_unknown_name_gives_the_line() -> None:
    text = "name: x\nmodels: [smollm2-135m-instruct]\neditors: [rome]\n"
    text += "suites:\n  - name: lm_eval\n    task: arc_eazy\n"
    with pytest.raises(BadInputError, match="line 5: Unknown task of lm-evaluation-harness 'arc_eazy'"):
        study_from_text(text, "x.yaml")


def test_a_duplicate_task_is_rejected(local_data: Write, tiny: Path, world: World, tmp_path: Path) -> None:
    local_data("arc_easy")
    content = small_study(
        tiny,
        write_edits(tmp_path / "facts.jsonl", world, 1),
        checkpoints=[0, 1],
        suites=["lm_eval:arc_easy", {"name": "lm_eval", "task": "arc_easy", "limit": 2}],
    )
    ran = CliRunner().invoke(app, ["run", str(write_study(tmp_path / "study.yaml", content))])
    assert ran.exit_code == 2
    assert "lm_eval:arc_easy' twice" in ran.output


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["tasks", "--harness", "arc_eas"], "arc_easy"),
        (["tasks", "--harness", "xwinograd", "--json"], '"kind": "group"'),
        (["tasks", "lm_eval"], "sequela tasks --harness"),
    ],
)
def test_names_are_listed(arguments: list[str], output: str) -> None:
    ran = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert ran.exit_code == 0
    assert output in ran.stdout


def test_evaluate_fails_without_data_and_hub(local_data: Write, no_hub: None, tiny: Path) -> None:
    local_data()
    ran = CliRunner().invoke(app, ["evaluate", str(tiny), "--suite", "lm_eval:arc_easy"])
    assert ran.exit_code == 2
    assert "'allenai/ai2_arc'" in ran.output
