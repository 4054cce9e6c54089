"""`sequela run`: a whole study from a shell, interrupted and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from sequela.results import Status, open_store, read_manifest
from support.commands import Sequela
from support.servers import unused_address
from support.studies import small_study, write_study
from support.tiers import quick_cases

START = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""A shell may have started the tests with SIGINT ignored, which programs inherit."""

PROGRAM = (sys.executable, "-c", f"{START}; from sequela.__main__ import main; main()")


def test_a_study_is_run_and_reported(
    sequela: Sequela, world_folder: Path, edits_file: Path, tmp_path: Path
) -> None:
    content = small_study(world_folder, edits_file, editors=["ft-m"], checkpoints=[0, 1], suites=[])
    study = write_study(tmp_path / "study.yaml", content)
    reported = sequela("run", study, "--json")
    assert reported.exit_code == 0
    assert reported.json == {
        "run": str(Path("runs") / "small"),
        "status": "complete",
        "evaluations": 2,
        "planned": 2,
        "report": str(Path("runs") / "small" / "report" / "index.html"),
    }
    assert (tmp_path / reported.json["report"]).is_file()
    assert "asking the unedited model for reference answers" in reported.stderr
    assert "\x1b" not in reported.stderr  # plain lines where there is no terminal


def test_options_override_those_of_the_study(
    sequela: Sequela, world_folder: Path, edits_file: Path, tmp_path: Path
) -> None:
    content = small_study(world_folder, edits_file, editors=["ft-m"], checkpoints=[0, 1], suites=[])
    study = write_study(tmp_path / "study.yaml", content)
    reported = sequela("run", study, "--precision", "bfloat16", "--memory", "2GiB")
    assert reported.exit_code == 0, reported.stderr
    assert "memory: " in reported.stderr
    manifest = read_manifest(tmp_path / "runs" / "small")
    assert (manifest.config["dtype"], manifest.config["memory"]) == ("bfloat16", 2**31)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--memory", "lots"), "Invalid size 'lots'"),
        (("--memory", "300MB"), "too low for"),
        (("--precision", "bfloat"), "Did you mean 'bfloat16'"),
    ],
)
def test_invalid_options_are_reported(
    sequela: Sequela,
    world_folder: Path,
    edits_file: Path,
    tmp_path: Path,
    options: tuple[str, str],
    expected: str,
) -> None:
    study = write_study(tmp_path / "study.yaml", small_study(world_folder, edits_file))
    edits = ("edit", "--model", world_folder, "--edits", edits_file, "--editor", "ft-m")
    for command in (("run", study), ("evaluate", world_folder), edits):
        answer = sequela(*command, *options)
        assert (answer.exit_code, answer.stdout) == (2, ""), command
        assert expected in answer.stderr


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"edtors": []}, "unknown key 'edtors'"),
        ({"models": ["smollm2-135m-instrct"]}, "'smollm2-135m-instruct'"),
        ({"edits": {"source": "counterfct"}}, "'counterfact'"),
    ],
)
def test_invalid_studies_are_reported(
    sequela: Sequela,
    world_folder: Path,
    edits_file: Path,
    tmp_path: Path,
    changes: dict[str, object],
    expected: str,
) -> None:
    study = write_study(tmp_path / "study.yaml", {**small_study(world_folder, edits_file), **changes})
    answer = sequela("run", study)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert expected in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.slow
def test_a_study_grows_part_by_part(
    sequela: Sequela, world_folder: Path, edits_file: Path, tmp_path: Path
) -> None:
    def study(*editors: str) -> Path:
        methods = [{"name": name, "settings": {"num_steps": 2}} for name in editors]
        content = small_study(world_folder, edits_file, editors=methods, checkpoints=[0, 1], suites=[])
        return write_study(tmp_path / "study.yaml", content)

    assert sequela("run", study("ft-m"), "-o", "run").exit_code == 0
    before = read_manifest(tmp_path / "run")

    refused = sequela("run", study("ft-m", "grace", "ft-l"), "-o", "run")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "* editors: grace is new" in refused.stderr
    assert "These results stay, as far as they are there:" in refused.stderr
    assert ": ft-m, shuffle seed 0, after 1 edit: edit_quality" in refused.stderr
    assert "Add --update" in refused.stderr
    assert read_manifest(tmp_path / "run") == before

    unknown = sequela("run", tmp_path / "study.yaml", "-o", "run", "--update", "--editor", "grce")
    assert unknown.exit_code == 2
    assert "Did you mean 'grace'? It has: ft-m, grace, ft-l." in unknown.stderr
    assert read_manifest(tmp_path / "run") == before

    part = sequela("run", tmp_path / "study.yaml", "-o", "run", "--update", "--editor", "grace")
    assert part.exit_code == 0, part.stderr
    assert "3 of 4 evaluations; the rest was not asked for." in part.stdout
    page = (tmp_path / "run" / "report" / "index.html").read_text(encoding="utf-8")
    assert "incomplete: 3 of 4 evaluations (the rest was not asked for)" in page

    rest = sequela("run", tmp_path / "study.yaml", "-o", "run", "--editor", "ft-l", "--seed", "0", "--json")
    assert (rest.exit_code, rest.json["status"], rest.json["evaluations"]) == (0, "complete", 4)
    page = (tmp_path / "run" / "report" / "index.html").read_text(encoding="utf-8")
    assert "not asked for" not in page


def test_a_missing_study_is_reported(sequela: Sequela) -> None:
    answer = sequela("run", "nowhere.yaml")
    assert answer.exit_code == 2
    assert "nowhere.yaml can't be read" in answer.stderr


@pytest.mark.parametrize("number", quick_cases([signal.SIGINT, signal.SIGTERM], [signal.SIGINT]))
def test_a_signal_stops_the_run_and_the_same_command_resumes_it(
    sequela: Sequela, world_folder: Path, edits_file: Path, tmp_path: Path, number: signal.Signals
) -> None:
    content = small_study(world_folder, edits_file)
    study = write_study(tmp_path / "study.yaml", content)
    folder = tmp_path / "run"
    command = ("run", str(study), "--output", str(folder))
    process = subprocess.Popen(
        (*PROGRAM, *command),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        while not list(folder.glob("checkpoints/*/1/edits.json")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    assert stdout == ""
    assert "Traceback" not in stderr
    manifest = read_manifest(folder)
    with open_store(folder) as store:
        done = store.count_evaluations()
    assert manifest.status is Status.STOPPED
    assert 0 < done < manifest.evaluations_planned
    assert f"{done} of {manifest.evaluations_planned} evaluations are done" in stderr
    assert f"Resume with: sequela {' '.join(command)}" in stderr

    answer = sequela(*command, "--json")
    assert answer.exit_code == 0
    assert answer.json["status"] == "complete"
    assert answer.json["evaluations"] == manifest.evaluations_planned


def test_help_does_not_import_torch() -> None:
    script = (
        "import sys, json\n"
        "from sequela.cli.main import app\n"
        "sys.argv = ['sequela', '--help']\n"
        "try:\n"
        "    app()\n"
        "finally:\n"
        "    json.dump(sorted(sys.modules), sys.stderr)\n"
    )
    result = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True, check=True)
    loaded = set(json.loads(result.stderr))
    assert "sequela.cli.run" in loaded
    assert not loaded & {"torch", "transformers", "datasets", "numpy", "sqlalchemy", "altair", "pydantic"}


@pytest.mark.parametrize(
    ("variable", "value", "options", "words"),
    [
        ("SEQUELA_DATABASE", "postgresql://me@{}/db", (), "results database postgresql+psycopg://me@{}/db"),
        ("SEQUELA_STORE", "ftp://{}/x", (), "The store ftp://{}/x can't be reached"),
        ("SEQUELA_STORE", "no-such-protocol://{}", (), "has the unknown protocol 'no-such-protocol'"),
        ("RAY_ADDRESS", "{}", ("--executor", "ray", "--address", "auto"), "at {} (from RAY_ADDRESS)"),
    ],
)
def test_what_a_run_needs_and_does_not_answer_is_bad_input(
    variable: str,
    value: str,
    options: tuple[str, ...],
    words: str,
    sequela: Sequela,
    study_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is said before anything is loaded, and leaves no folder of a run."""
    if options and find_spec("ray") is None:
        pytest.skip("the extra ray is not installed")
    address = unused_address()
    monkeypatch.setenv(variable, value.format(address))
    answer = sequela("run", study_file, "-o", tmp_path / "run", *options)
    assert answer.exit_code == 2
    assert words.format(address) in answer.stderr
    assert not (tmp_path / "run").exists()
