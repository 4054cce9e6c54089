"""`sequela plan`, and `sequela run --plan`, which runs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequela.cli.plan import duration
from support.commands import Sequela
from support.studies import small_study, write_study


def test_the_page_has_the_grid_the_tokens_the_tasks_and_the_totals(
    sequela: Sequela, study_file: Path
) -> None:
    said = sequela("plan", study_file)
    assert said.exit_code == 0, said.stderr
    for text in (
        "1 model x 2 methods (rome, ft-m) x 1 order, measured after 0, 1, 2 edits",
        "4 edits applied on 2 trajectories",
        "perplexity",
        "edit_quality",
        "measure: builtin",
        "untried",
        "--check-store",
        "Disk: ",
        "Memory: ",
        "Time: ",
    ):
        assert text in said.stdout, text
    assert "\x1b" not in said.stderr


def test_run_with_plan_prints_the_same_and_runs_nothing(
    sequela: Sequela, study_file: Path, tmp_path: Path
) -> None:
    planned = sequela("plan", study_file, "--json").json
    same = sequela("run", study_file, "--plan", "--json").json
    assert not (tmp_path / "runs").exists()
    assert planned["grid"] == same["grid"]
    assert [one["suites"] for one in planned["models"]] == [one["suites"] for one in same["models"]]
    assert planned["n_tasks"] == same["n_tasks"] == planned["n_unknown"] + 2
    assert planned["models"][0]["suites"]["perplexity"]["tokens_scored"] > 1000
    assert planned["seconds_left"] > 0
    assert planned["peak_memory_bytes"] > planned["models"][0]["memory_bytes"]["weights"] > 0
    assert planned["disk_bytes"] > 0


def test_profiles_are_listed(sequela: Sequela) -> None:
    assert "rtx-4090" in sequela("plan", "--device-profile", "list").stdout
    listed = sequela("plan", "--device-profile", "list", "--json").json
    assert {"h100", "a100-80gb", "cpu-2-core"} <= {one["name"] for one in listed}


def test_another_device_is_estimated_and_its_memory_compared(
    sequela: Sequela, world_folder: Path, edits_file: Path, tmp_path: Path
) -> None:
    tiny = tmp_path / "tiny.yaml"
    tiny.write_text("flops: {float32: 1.0e+12}\nbandwidth: 1.0e+11\nmemory: 1048576\n", encoding="utf-8")
    study = write_study(tmp_path / "study.yaml", small_study(world_folder, edits_file, suites=["perplexity"]))
    said = sequela("plan", study, "--device-profile", tiny)
    assert said.exit_code == 0, said.stderr
    assert f"This is more than {tiny} has" in said.stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--device-profile", "h10"), "Unknown device profile 'h10'"),
        (("--device-profile", "h100", "--calibrate"), "--calibrate measures this machine"),
    ],
)
def test_wrong_options_are_errors(
    sequela: Sequela, study_file: Path, options: tuple[str, ...], said: str
) -> None:
    answer = sequela("plan", study_file, *options)
    assert answer.exit_code == 2
    assert said in answer.stderr


def test_a_study_must_be_named(sequela: Sequela) -> None:
    answer = sequela("plan")
    assert answer.exit_code == 2
    assert "sequela plan STUDY.yaml" in answer.stderr


def test_a_model_without_a_configuration_is_an_error(
    sequela: Sequela, edits_file: Path, tmp_path: Path
) -> None:
    study = write_study(tmp_path / "study.yaml", small_study(Path("no-such/model"), edits_file))
    answer = sequela("plan", study)
    assert answer.exit_code == 2
    assert "There is no configuration of the model 'no-such/model'" in answer.stderr


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.44, "0.4 s"), (12.4, "12 s"), (150, "2.5 min"), (9000, "2.5 h"), (3.1 * 86400, "3.1 days")],
)
def test_durations_are_in_fitting_units(seconds: float, said: str) -> None:
    assert duration(seconds) == said
