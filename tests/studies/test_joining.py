"""Joining a run: its tasks are shared, one process collects, and another one takes its place."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sequela.core.locks import FileLock
from sequela.core.progress import SilentProgress
from sequela.results import Status, read_manifest
from sequela.store import Kind, open_store
from sequela.studies import Study, run_study
from sequela.studies.joined import joined
from sequela.studies.run_lock import LOCK
from sequela.studies.run_part import RunPart
from sequela.studies.study_update import OtherRunError
from support.runs import MessageLog, StopAfterMessage, checkpoint_files, measured

MakeStudy = Callable[..., Study]


class DoAt(SilentProgress):
    """Does something when a message contains a text, once, and records messages."""

    def __init__(self, text: str, do: Callable[[], object]) -> None:
        self.text, self._do, self.lines = text, do, list[str]()

    def say(self, message: str) -> None:
        self.lines.append(message)
        if self.text in message and self._do is not None:
            do, self._do = self._do, lambda: None
            do()


@pytest.fixture
def folder(make_study: MakeStudy, tmp_path: Path) -> Path:
    """The folder of a run that was stopped after its first numbers."""
    run_study(make_study(), tmp_path / "run", StopAfterMessage("unedited model"))
    return tmp_path / "run"


@contextmanager
def held(folder: Path) -> Iterator[FileLock]:
    """Holds the lock of a folder, as the main process of a run does."""
    lock = FileLock(folder / LOCK)
    assert lock.acquire()
    try:
        yield lock
    finally:
        lock.release()


def n_outputs() -> int:
    return len(list(open_store().entries([Kind.CHECKPOINT, Kind.EVALUATION])))


def test_with_nobody_there_it_is_a_normal_run(make_study: MakeStudy, finished: Path, tmp_path: Path) -> None:
    log = MessageLog()
    result = run_study(make_study(), tmp_path / "run", log, join=True)
    assert (result.status, result.joined) == (Status.COMPLETE, False)
    assert any(line.startswith("nobody runs this study") for line in log.lines)
    assert measured(tmp_path / "run") == measured(finished)


def test_it_makes_outputs_and_takes_the_place_of_a_main_process_that_ended(
    make_study: MakeStudy, finished: Path, folder: Path
) -> None:
    before, manifest = measured(folder), read_manifest(folder)
    with held(folder) as lock:

        def end() -> None:
            assert measured(folder) == before  # it collects nothing
            assert read_manifest(folder) == manifest
            assert n_outputs() == 4 + 12  # two methods, two checkpoints; two suites and edit quality
            assert len(joined(folder)) == 1
            lock.release()

        progress = DoAt("nothing is left to do here", end)
        result = run_study(make_study(), folder, progress, join=True)
    assert (result.status, result.joined) == (Status.COMPLETE, False)
    assert any("this one has joined" in line for line in progress.lines)
    assert any("whose place this one takes" in line for line in progress.lines)
    assert measured(folder) == measured(finished)
    assert checkpoint_files(folder) == checkpoint_files(finished)
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_it_takes_the_place_of_the_main_process_at_once(
    make_study: MakeStudy, finished: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sequela.studies.run_watch.SECONDS_BETWEEN_LOOKS", 0.05)
    with held(folder) as lock:
        progress = DoAt("edit 1 of 2", lock.release)
        assert run_study(make_study(), folder, progress, join=True).status is Status.COMPLETE
    assert not any("nothing is left to do here" in line for line in progress.lines)
    assert measured(folder) == measured(finished)


def test_it_ends_when_the_main_process_has_completed_the_run(
    make_study: MakeStudy, finished: Path, folder: Path
) -> None:
    with held(folder) as lock:

        def complete() -> None:
            lock.release()
            assert run_study(make_study(), folder).status is Status.COMPLETE

        result = run_study(make_study(), folder, DoAt("nothing is left", complete), join=True)
    assert (result.status, result.joined) == (Status.COMPLETE, True)
    assert (result.done, result.planned) == (read_manifest(folder).evaluations_planned,) * 2
    assert measured(folder) == measured(finished)


def test_jobs_for_parts_of_a_study_collect_one_after_the_other(
    make_study: MakeStudy, finished: Path, folder: Path
) -> None:
    with held(folder) as lock:

        def end_another_part() -> None:
            lock.release()
            made = n_outputs()
            result = run_study(make_study(), folder, part=RunPart(editors=("rome",)))
            assert result.status is Status.PARTIAL
            assert n_outputs() == 2 * made  # nothing of the other method was made here

        progress = DoAt("nothing is left to do here", end_another_part)
        result = run_study(make_study(), folder, progress, join=True, part=RunPart(editors=("ft-m",)))
    assert (result.status, result.joined) == (Status.COMPLETE, False)
    assert any("the other process has ended its part" in line for line in progress.lines)
    assert measured(folder) == measured(finished)
    assert [one.part for one in read_manifest(folder).history] == ["editor rome", "editor ft-m"]


def test_it_waits_for_a_main_process_that_has_just_begun_to_update_the_run(
    make_study: MakeStudy, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sequela.studies.joining.SECONDS_BETWEEN_TRIES", 0.0)
    with held(folder) as lock:
        os.utime(
            lock.path, (time.time() + 10, time.time() + 10)
        )  # later than the manifest, whatever the clock
        monkeypatch.setattr("sequela.studies.joining.time.sleep", lambda seconds: lock.release())
        result = run_study(make_study(checkpoints=[0, 2]), folder, join=True, update=True)
    assert (result.status, result.joined) == (Status.COMPLETE, False)
    assert {one.n_edits for one in measured(folder)} == {0, 2}


def test_another_study_is_refused(make_study: MakeStudy, folder: Path) -> None:
    manifest = read_manifest(folder)
    with held(folder) as lock:
        os.utime(lock.path, (0, 0))  # the main process has written the manifest since it began
        with pytest.raises(OtherRunError, match="another study"):
            run_study(make_study(checkpoints=[0, 2]), folder, join=True)
    assert read_manifest(folder) == manifest


def test_a_stopped_process_leaves_the_run_to_the_others(make_study: MakeStudy, folder: Path) -> None:
    manifest = read_manifest(folder)
    with held(folder):
        result = run_study(make_study(), folder, StopAfterMessage("edit 1 of 2"), join=True)
    assert (result.status, result.joined) == (Status.STOPPED, True)
    assert read_manifest(folder) == manifest
    assert not joined(folder)
