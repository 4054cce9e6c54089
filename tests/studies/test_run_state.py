"""The state of a run as other processes see it, and what they may request of it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sequela.core.errors import BadInputError, SequelaError, UnknownNameError
from sequela.core.locks import FileLock
from sequela.core.progress import SilentProgress
from sequela.results import Status, read_manifest, write_manifest
from sequela.studies import Study, run_study
from sequela.studies.run_lock import LOCK
from sequela.studies.run_requests import Cell, RunRequests
from sequela.studies.run_state import RunState, check_running, known_cell, state_of
from sequela.studies.workers import Workers
from support.runs import StopAfterMessage, checkpoint_files, measured
from support.scheduling import wait_until
from support.tiers import quick_cases

MakeStudy = Callable[..., Study]

PAUSED = "paused: no more tasks are started"


class Do(SilentProgress):
    """Does something, once for each text, when a message contains it."""

    def __init__(self, **at: Callable[[], object]) -> None:
        self._at = {text.replace("_", " "): do for text, do in at.items()}
        self.lines: list[str] = []

    def say(self, message: str) -> None:
        self.lines.append(message)
        for text in [text for text in self._at if text in message]:
            self._at.pop(text)()


def live_state(folder: Path, holds: Callable[[RunState], bool]) -> RunState:
    """Waits until the state of a run is as given, and returns it."""
    wait_until(lambda: holds(state_of(folder)))
    return state_of(folder)


def test_a_run_that_goes_on_says_what_it_does(make_study: MakeStudy, tmp_path: Path) -> None:
    folder, seen = tmp_path / "run", list[RunState]()

    def look() -> None:
        seen.append(
            live_state(
                folder,
                lambda now: now.live is not None and any("edit" in one.task for one in now.live.running),
            )
        )
        raise KeyboardInterrupt

    run_study(make_study(), folder, Do(edit_1_of_2=look), command="sequela run study.yaml")
    (state,) = seen
    assert (state.status, state.reason, state.resume) == ("running", "", "")
    assert state.process is not None
    assert state.process.pid == os.getpid()
    assert 0 < state.evaluations_done < state.evaluations_planned
    assert state.live is not None
    assert [one.worker for one in state.live.running] == ["this process"]
    assert 0 < state.live.steps_done < state.live.steps_planned
    assert not state.live.failed
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_finished_run_says_so(finished: Path) -> None:
    state = state_of(finished)
    assert (state.status, state.process, state.live, state.resume) == ("complete", None, None, "")
    assert state.evaluations_done == state.evaluations_planned > 0
    with pytest.raises(BadInputError, match="can't be paused: no process is running it"):
        check_running(finished, "paused")


def test_a_stopped_run_and_a_killed_one_can_be_resumed(make_study: MakeStudy, tmp_path: Path) -> None:
    folder, command = tmp_path / "run", "sequela run study.yaml"
    run_study(make_study(), folder, StopAfterMessage("unedited model"), command)
    assert (state_of(folder).status, state_of(folder).resume) == ("stopped", command)

    manifest = read_manifest(folder).model_copy(update={"status": Status.RUNNING})
    write_manifest(folder, manifest)
    assert (state_of(folder).status, state_of(folder).resume) == ("killed", command)
    lock = FileLock(folder / LOCK)
    assert lock.acquire()
    assert state_of(folder).status == "starting"
    lock.release()


def test_a_folder_without_a_run_is_reported(tmp_path: Path) -> None:
    for look in (state_of, lambda folder: check_running(folder, "paused")):
        with pytest.raises(SequelaError, match="There is no run in"):
            look(tmp_path)
    with FileLockHeld(tmp_path):
        assert state_of(tmp_path).status == "starting"


class FileLockHeld:
    """Holds the lock of a folder."""

    def __init__(self, folder: Path) -> None:
        self._lock = FileLock(folder / LOCK)

    def __enter__(self) -> None:
        assert self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_a_paused_run_starts_nothing_until_it_goes_on(
    make_study: MakeStudy, finished: Path, tmp_path: Path
) -> None:
    folder, seen = tmp_path / "run", list[RunState]()
    requests = RunRequests(folder)

    def pause() -> None:
        requests.pause()
        wait_until(lambda: progress.lines.count(PAUSED) == 1)
        thread.start()

    def look() -> None:
        ended = live_state(folder, lambda now: now.live is not None and not now.live.running)
        seen.extend([ended, state_of(folder)])
        requests.unpause()

    thread = threading.Thread(target=look)
    progress = Do(edit_1_of_2=pause)
    assert run_study(make_study(), folder, progress).status is Status.COMPLETE
    thread.join()
    assert [one.status for one in seen] == ["paused"] * 2
    assert [one.live and one.live.running for one in seen] == [()] * 2
    assert progress.lines.count("no longer paused") == 1
    assert measured(folder) == measured(finished)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Makes SIGINT an interrupt, which whoever started the tests in the background may have switched off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_paused_run_can_be_stopped(make_study: MakeStudy, tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def pause_and_stop() -> None:
        RunRequests(folder).pause()
        wait_until(lambda: PAUSED in progress.lines)
        threading.Thread(target=stop_once_paused).start()

    def stop_once_paused() -> None:
        live_state(folder, lambda now: now.live is not None and not now.live.running)
        os.kill(os.getpid(), signal.SIGINT)

    progress = Do(edit_1_of_2=pause_and_stop)
    assert run_study(make_study(), folder, progress).status is Status.STOPPED
    assert state_of(folder).status == "stopped"
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("n_workers", quick_cases([1, 2], [1]))
def test_a_canceled_cell_is_left_out_and_done_later(
    make_study: MakeStudy, finished: Path, tmp_path: Path, n_workers: int
) -> None:
    folder, study, workers = tmp_path / "run", make_study(), Workers(n_workers)
    cell = Cell(model=study.models[0], editor="rome")

    def cancel() -> None:
        RunRequests(folder).cancel(cell)
        wait_until(lambda: any("canceled" in line for line in progress.lines))

    progress = Do(asking_the_unedited_model=cancel)
    result = run_study(study, folder, progress, workers=workers)
    assert (result.status, result.canceled) == (Status.STOPPED, (f"rome on {study.models[0]}",))
    assert {one.editor for one in measured(folder)} == {"none", "ft-m"}
    assert measured(folder, editor="ft-m") == measured(finished, editor="ft-m")
    assert state_of(folder).reason == f"canceled: {cell}"
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]

    assert run_study(study, folder, workers=workers).status is Status.COMPLETE
    assert measured(folder) == measured(finished)
    assert checkpoint_files(folder) == checkpoint_files(finished)


@pytest.mark.slow
def test_edits_that_two_orders_share_are_done_for_the_one_that_was_not_canceled(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study, folder = make_study(order_seeds=[0, 2, 3, 4], checkpoints=[0, 2]), tmp_path / "run"
    seeds = [0, 2, 3]  # of two edits, there are two orders

    def cancel() -> None:
        for seed in seeds:
            RunRequests(folder).cancel(Cell(model=study.models[0], editor="ft-m", seed=seed))
        wait_until(lambda: sum("canceled" in line for line in progress.lines) == len(seeds))

    progress = Do(asking_the_unedited_model=cancel)
    assert run_study(study, folder, progress).status is Status.STOPPED
    assert measured(folder, editor="ft-m", order_seed=4)
    assert measured(folder, editor="rome", order_seed=0)


def test_a_cell_is_known_by_the_names_of_the_study(finished: Path) -> None:
    (model,) = read_manifest(finished).config["models"]
    assert known_cell(finished, model, "ft-m", None, 0) == Cell(model=model, editor="ft-m", seed=0)
    for given, kind, hint in (
        (("tiny", "rome", None, None), "model", model),
        ((model, "rone", None, None), "method", "'rome'"),
        ((model, "rome", None, 7), "shuffle seed", "0"),
        ((model, "rome", 1, None), "sample", ""),
    ):
        with pytest.raises(UnknownNameError, match=f"Unknown {kind} of this run") as caught:
            known_cell(finished, *given)
        assert hint in (caught.value.hint or "")
