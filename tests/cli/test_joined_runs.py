"""Several processes that run one study: one collects, the others join, and any of them may be killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sequela.results import Status, read_manifest
from sequela.studies import Study, run_study
from sequela.studies.run_requests import RunRequests
from support.runs import checkpoint_files, measured
from support.scheduling import wait_until
from support.studies import small_study, write_study

pytestmark = pytest.mark.slow


@contextmanager
def running(study: Path, folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Runs a study in a process of its own, which is killed at the end of the block if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sequela", "run", str(study), "--output", str(folder), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQUELA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def study(world_folder: Path, edits_file: Path, tmp_path: Path) -> Path:
    return write_study(tmp_path / "study.yaml", small_study(world_folder, edits_file))


@pytest.fixture
def alone(world_folder: Path, edits_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run that one process has made in a store of its own."""
    with monkeypatch.context() as patch:
        patch.setenv("SEQUELA_CACHE", str(tmp_path / "alone"))
        run_study(Study.model_validate(small_study(world_folder, edits_file)), tmp_path / "alone" / "run")
    return tmp_path / "alone" / "run"


def n_edits_in(output: str) -> int:
    return sum(f"edit {i} of 2" in line for line in output.splitlines() for i in (1, 2))


@pytest.mark.usefixtures("cache")
def test_two_processes_share_a_run(study: Path, alone: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with running(study, folder) as main:
        wait_until((folder / "manifest.json").exists)
        RunRequests(folder).pause()  # it would end before the others have started
        with running(study, folder) as refused:
            _, error = refused.communicate(timeout=300)
            assert refused.returncode == 2
            assert f"Another process (id {main.pid} on " in error
            assert "--join" in error
        with running(study, folder, "--join") as second:
            wait_until(lambda: list(folder.glob(".joined/*.lock")) != [])
            RunRequests(folder).unpause()
            outputs = [process.communicate(timeout=300)[1] for process in (main, second)]
            assert (main.returncode, second.returncode) == (0, 0), outputs
    assert f"Another process (id {main.pid} on " in outputs[1]
    assert "this one has joined" in outputs[1]
    assert sum(map(n_edits_in, outputs)) == 4, outputs  # two methods, two batches: none was applied twice
    assert measured(folder) == measured(alone)
    assert checkpoint_files(folder) == checkpoint_files(alone)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("n_joined", [1, 2])
def test_one_that_joined_takes_the_place_of_a_killed_main_process(
    study: Path, alone: Path, tmp_path: Path, n_joined: int
) -> None:
    folder = tmp_path / "run"
    with running(study, folder) as main:
        wait_until((folder / "manifest.json").exists)
        RunRequests(folder).pause()
        with running(study, folder, "--join") as second, running(study, folder, "--join") as third:
            helpers = [second, third][:n_joined]
            wait_until(lambda: len(list(folder.glob(".joined/*.lock"))) == 2)
            main.kill()
            if n_joined == 1:
                third.kill()
            RunRequests(folder).unpause()
            outputs = [process.communicate(timeout=300)[1] for process in helpers]
            assert [process.returncode for process in helpers] == [0] * n_joined, outputs
    assert sum("whose place this one takes" in output for output in outputs) == 1
    assert read_manifest(folder).status is Status.COMPLETE
    assert measured(folder) == measured(alone)
    assert checkpoint_files(folder) == checkpoint_files(alone)
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.usefixtures("cache")
def test_two_studies_at_once_make_nothing_twice(world_folder: Path, edits_file: Path, tmp_path: Path) -> None:
    names = ("one", "two")
    studies = [
        write_study(tmp_path / f"{name}.yaml", small_study(world_folder, edits_file, name=name))
        for name in names
    ]
    with running(studies[0], tmp_path / "one") as first, running(studies[1], tmp_path / "two") as second:
        outputs = [process.communicate(timeout=300)[1] for process in (first, second)]
        assert (first.returncode, second.returncode) == (0, 0), outputs
    assert sum(output.count("asking the unedited model for reference") for output in outputs) == 1
    assert sum(map(n_edits_in, outputs)) == 4
    assert "was made twice" not in "".join(outputs)
    assert measured(tmp_path / "one") == measured(tmp_path / "two")
