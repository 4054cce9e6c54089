"""`sequela results` and `sequela report` on a finished run."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from sequela.analysis import check_validity
from sequela.results import Status, open_store, read_manifest, write_manifest
from support.commands import Sequela

FIELDS = {
    "model",
    "editor",
    "variant",
    "edit_source",
    "order_seed",
    "edit_sample",
    "n_edits",
    "suite",
    "task",
    "group",
    "subtask",
    "metric",
    "protocol",
    "value",
    "stderr",
    "n",
    "baseline",
}
FURTHER_FIELDS = {
    "n_nonfinite",
    "n_too_long",
    "n_failed",
    "n_unfinished_thinking",
    "note",
    "form",
    "edit_template",
    "edit_template_args",
    "template",
    "template_args",
    "think_end_token",
    "max_thinking_tokens",
    "shared",
    "raw_value",
    "flags",
}


def test_json_is_one_object_per_measurement_with_the_promised_fields(
    sequela: Sequela, finished: Path
) -> None:
    answer = sequela("results", finished, "--json")
    with open_store(finished) as store:
        kept = store.measurements()
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert len(answer.json) == len(kept) > 0
    for reported, measurement in zip(
        answer.json, check_validity(kept, read_manifest(finished).suites), strict=True
    ):
        assert set(reported) == FIELDS | FURTHER_FIELDS
        assert reported == measurement.model_dump(mode="json")
    assert {one["task"] for one in answer.json} >= {"success@edit", "retention@n"}


@pytest.mark.parametrize(
    ("option", "value"),
    [("suite", "perplexity"), ("task", "retention@n"), ("metric", "efficacy"), ("editor", "ft-m")],
)
def test_measurements_can_be_filtered(sequela: Sequela, finished: Path, option: str, value: str) -> None:
    chosen = sequela("results", finished, f"--{option}", value, "--json").json
    assert chosen
    assert all(one[option] == value for one in chosen)
    assert len(chosen) < len(sequela("results", finished, "--json").json)
    assert value in sequela("results", finished, f"--{option}", value).stdout


def test_an_unknown_filter_value_is_rejected(sequela: Sequela, finished: Path) -> None:
    answer = sequela("results", finished, "--suite", "perplexty")
    assert answer.exit_code == 2
    assert "'perplexity'" in answer.stderr


def test_an_incomplete_run_is_shown_with_a_warning(sequela: Sequela, finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    write_manifest(folder, read_manifest(folder).finish(Status.STOPPED))
    for arguments in (["results", folder], ["results", folder, "--json"]):
        answer = sequela(*arguments)
        assert answer.exit_code == 0
        assert "incomplete" in answer.stderr
        assert "stopped" in answer.stderr
    assert sequela("results", finished).stderr == ""


@pytest.mark.parametrize("command", ["results", "report"])
def test_a_folder_without_a_run_is_rejected(sequela: Sequela, tmp_path: Path, command: str) -> None:
    for arguments in ([command, tmp_path], [command, tmp_path / "nowhere"]):
        answer = sequela(*arguments)
        assert (answer.exit_code, answer.stdout) == (2, "")
        assert "There is no run in" in answer.stderr
        assert "Traceback" not in answer.stderr


def test_the_report_is_written_to_the_given_folder(sequela: Sequela, finished: Path, tmp_path: Path) -> None:
    answer = sequela("report", finished, "--output", tmp_path / "page", "--json")
    page = Path(answer.json["report"])
    assert answer.exit_code == 0
    assert page.parent == tmp_path / "page"
    assert "retention@n" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("place", ["facts.jsonl", "facts.jsonl/x", "/proc/x", "has_a_folder"])
def test_a_report_that_cannot_be_written(
    sequela: Sequela, finished: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "facts.jsonl").write_text("kept")
    (tmp_path / "has_a_folder" / "index.html").mkdir(parents=True)
    answer = sequela("report", finished, "-o", place)
    assert answer.exit_code == 2
    assert f"Can't write to {place}" in answer.stderr
    assert (tmp_path / "facts.jsonl").read_text() == "kept"


@pytest.mark.parametrize("option", [("--all",), ("--json",), ("--suite", "builtin")])
def test_markdown_is_of_the_whole_run(sequela: Sequela, finished: Path, option: tuple[str, ...]) -> None:
    answer = sequela("results", finished, "--markdown", *option)
    assert answer.exit_code == 2
    assert f"--markdown and {option[0]} can't be combined" in answer.stderr


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_what_the_system_refuses_is_no_traceback(
    sequela: Sequela, finished: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "index.html")

    monkeypatch.setattr("sequela.reports.write_report", refuse)
    answer = sequela("report", finished)
    assert (answer.exit_code, answer.stderr) == (2, f"Error: Can't use index.html: {os.strerror(number)}.\n")


def test_stored_answers_are_rescored(sequela: Sequela, finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    answer = sequela("rescore", folder)
    assert answer.exit_code == 0
    assert "0 values changed" in answer.stdout
    assert "not rescored: builtin, perplexity" in answer.stdout
    reported = sequela("rescore", folder, "--json").json
    assert (reported["changed"], reported["left"]) == ([], ["builtin", "perplexity"])
    assert reported["rescored"] > 0


def test_bisect_finds_the_first_triggering_edit(sequela: Sequela, finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    (found,) = sequela("bisect", folder, "--rule", "relative_change > 1e-9", "--json").json
    assert (found["edit"], found["label"]) == (1, "ft-m")
    assert found["record"]["position"] == 1
    assert found["after"] > found["before"] == 0.0
    answer = sequela("bisect", folder, "--rule", "perplexity > 1e9x")
    assert answer.exit_code == 0
    assert "never" in answer.stdout


@pytest.mark.parametrize(
    ("rule", "message"),
    [("perplexty > 3x", "Unknown health metric 'perplexty'"), ("soon", "Invalid health rule 'soon'")],
)
def test_an_invalid_rule_is_rejected_with_an_example(
    sequela: Sequela, finished: Path, rule: str, message: str
) -> None:
    answer = sequela("bisect", finished, "--rule", rule)
    assert answer.exit_code == 2
    assert message in answer.stderr


def test_an_unreachable_database_is_an_error_in_words(
    sequela: Sequela, finished: Path, tmp_path: Path
) -> None:
    """The folder of a run whose results are on a server that isn't there."""
    run = shutil.copytree(finished, tmp_path / "away")
    (run / "results.sqlite").unlink()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"postgresql+psycopg://me@127.0.0.1:{closed.getsockname()[1]}/results"
        reference = {"address": address, "run_id": "1"}
        (run / "database.json").write_text(json.dumps(reference), encoding="utf-8")
        answer = sequela("results", run)
    assert answer.exit_code == 2
    assert f"The results database {address} can't be reached" in answer.stderr
    assert "Traceback" not in answer.stderr
