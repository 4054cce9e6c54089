"""`sequela status`, `pause`, `unpause` and `cancel` from a shell."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import pytest

from sequela.core.locks import FileLock
from sequela.results import read_manifest
from sequela.studies.run_lock import LOCK
from sequela.studies.run_requests import Cell, Requested, RunRequests
from sequela.studies.run_status import STATUS_NAME
from support.commands import Sequela
from support.scheduling import wait_until
from support.studies import small_study, write_study


@pytest.fixture
def going_on(tmp_path: Path, finished: Path) -> Path:
    """A folder that looks like that of a run that a process has just begun."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_a_finished_run(sequela: Sequela, finished: Path) -> None:
    answer = sequela("status", finished)
    assert answer.exit_code == 0
    assert answer.stdout.splitlines() == [f"{finished}: complete", "6 of 6 evaluations are done"]
    state = sequela("status", finished, "--json").json
    assert (state["status"], state["process"], state["evaluations_done"]) == ("complete", None, 6)


@pytest.mark.parametrize("command", ["pause", "unpause", "cancel"])
def test_a_run_that_has_ended_can_not_be_steered(sequela: Sequela, finished: Path, command: str) -> None:
    options = ("--model", "m", "--editor", "rome") if command == "cancel" else ()
    answer = sequela(command, finished, *options)
    assert answer.exit_code == 2
    assert "no process is running it" in answer.stderr


def test_requests_to_a_run_that_goes_on(sequela: Sequela, going_on: Path) -> None:
    (model,) = read_manifest(going_on).config["models"]
    lock, requests = FileLock(going_on / LOCK), RunRequests(going_on)
    assert lock.acquire()
    try:
        assert sequela("status", going_on, "--json").json["status"] == "starting"
        assert sequela("pause", going_on).exit_code == 0
        assert requests.read() == Requested(is_paused=True)
        assert sequela("unpause", going_on).exit_code == 0
        assert requests.read() == Requested()
        wrong = sequela("cancel", going_on, "--model", model, "--editor", "rome")
        assert wrong.exit_code == 2
        assert "Unknown method of this run 'rome'" in wrong.stderr
        assert "ft-m" in wrong.stderr
        cell = ("--model", model, "--editor", "ft-m", "--seed", 0)
        assert "Canceled within a second: ft-m on " in sequela("cancel", going_on, *cell).stdout
        assert requests.read() == Requested(canceled=(Cell(model=model, editor="ft-m", seed=0),))
    finally:
        lock.release()


def test_a_run_with_a_canceled_cell_ends_with_a_report_and_status_0(
    sequela: Sequela, world_folder: Path, edits_file: Path, tmp_path: Path
) -> None:
    content = small_study(world_folder, edits_file, checkpoints=[0, 1], suites=[])
    study, folder = write_study(tmp_path / "study.yaml", content), tmp_path / "run"

    def cancel() -> None:
        wait_until((folder / STATUS_NAME).exists)
        RunRequests(folder).cancel(Cell(model=str(world_folder), editor="rome"))

    thread = threading.Thread(target=cancel)
    thread.start()
    answer = sequela("run", study, "--output", folder, "--json")
    thread.join()
    assert answer.exit_code == 0, answer.stderr
    assert f"Canceled: rome on {world_folder}. 2 of 3 evaluations are done" in answer.stderr
    assert json.loads(answer.stdout)["status"] == "stopped"
    assert (folder / "report" / "index.html").is_file()
    assert "the run was stopped: canceled: rome on" in sequela("results", folder).stderr
