"""Runs that are killed, stopped or short of disk space, resumed until done: the table of one that was not.

`SEQUELA_TORTURE=60 pytest -m slow -s tests/studies/test_torture.py` kills a run at 60 points instead of 20,
and prints the figures.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sequela.cli.signals import STOPPED
from sequela.results import Status, read_manifest
from support.commit_steps import Moment
from support.disks import BLOCK, MIB, mounted
from support.forked import Source
from support.scheduling import is_alive, wait_until
from support.torture import Torture, steps_to_try, write_torture_study
from support.world import World

pytestmark = pytest.mark.slow

POINTS = int(os.environ.get("SEQUELA_TORTURE", "20"))
"""The number of points at which a run is killed."""


@dataclass(frozen=True)
class Reference:
    """A run that nothing interrupted.

    Args:
        run: The run.
        table: Its results.
        names: The names of its files.
        steps: The file with its commit steps.
        n_tasks: The number of its tasks.
    """

    run: Torture
    table: bytes
    names: set[str]
    steps: Path
    n_tasks: int


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, world_folder: Path, world: World) -> Path:
    return write_torture_study(tmp_path_factory.mktemp("study"), world_folder, world)


@pytest.fixture(scope="module")
def reference(source: Source, study: Path, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("reference")
    run, steps = Torture(source, study, folder / "one"), folder / "steps"
    status, said = run.run(steps=str(steps))
    assert status == 0, said
    journal = (run.folder / "tasks 1").read_text()
    return Reference(run, run.table(), run.names(), steps, journal.count("begun "))


def check(run: Torture, reference: Reference, n_cut: int) -> dict[str, int]:
    """Checks a run that has ended; returns figures.

    Args:
        run: The run.
        reference: The uninterrupted one.
        n_cut: The greatest number of tasks that may have been cut.
    """
    again, cut = run.tasks()
    figures = {
        "resumes": run.n_started - 1,
        "equal tables": int(run.table() == reference.table),
        "tasks cut": cut.total(),
        "tasks done again": again.total(),
        "strays": len(run.names() - reference.names),
        "missing": len(reference.names - run.names()),
    }
    assert figures["equal tables"] == 1, run.folder
    assert not again, (run.folder, again)
    assert cut.total() <= n_cut, (run.folder, cut)
    assert run.names() == reference.names, run.names() ^ reference.names
    return figures


def resume(run: Torture) -> None:
    """Runs until the run is complete."""
    status, said = run.run()
    assert status == 0, said
    assert "Traceback" not in said


def show(**figures: Any) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")


def test_killed_at_random_times(source: Source, study: Path, reference: Reference, tmp_path: Path) -> None:
    chooser, figures = random.Random(0), Counter[str]()
    for number in range(POINTS // 2):
        run = Torture(source, study, tmp_path / str(number))
        status = run.kill_when(chooser.randint(0, reference.n_tasks), chooser.random() * 0.3)
        figures["killed"] += status == -signal.SIGKILL
        assert status in (-signal.SIGKILL, 0)
        resume(run)
        figures.update(check(run, reference, n_cut=1))
    show(kills="at random times", **figures)
    assert figures["killed"] >= POINTS // 2 - 1


def kill_at_step(
    source: Source, study: Path, folder: Path, step: int, kind: str, moment: Moment
) -> tuple[Torture, tuple[int, str]]:
    """Kills a run at a step, or at an earlier one: not every run has as many steps of each kind."""
    while True:
        run = Torture(source, study, folder)
        found = run.run(kill_at=step, kind=kind, moment=moment)
        if found[0] != 0 or step == 1:
            return run, found
        step, folder = step // 2, folder.with_name(f"{folder.name}-{step // 2}")


def test_killed_before_and_after_commit_steps(
    source: Source, study: Path, reference: Reference, tmp_path: Path
) -> None:
    figures = Counter[str]()
    kinds: Counter[str] = Counter()
    for number, (step, kind, moment) in enumerate(steps_to_try(reference.steps, POINTS - POINTS // 2)):
        run, (status, said) = kill_at_step(source, study, tmp_path / str(number), step, kind, moment)
        assert status == -signal.SIGKILL, said
        kinds[f"{moment} {kind}"] += 1
        resume(run)
        figures.update(check(run, reference, n_cut=1))
    show(kills="at commit steps", kinds=kinds, killed=sum(kinds.values()), **figures)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_by_a_signal(
    source: Source, study: Path, reference: Reference, tmp_path: Path, number: signal.Signals
) -> None:
    chooser, figures = random.Random(number), Counter[str]()
    for attempt in range(max(2, POINTS // 10)):
        run = Torture(source, study, tmp_path / str(attempt))
        command = run.start()
        run.wait_for_tasks(chooser.randint(1, reference.n_tasks - 2))
        for _ in range(attempt % 2 + 1):  # once, and twice in a row
            time.sleep(chooser.random() * 0.1)
            command.send(number)
        assert command.wait() == STOPPED, command.text
        assert "Traceback" not in command.text
        assert read_manifest(run.output).status is Status.STOPPED
        resume(run)
        figures.update(check(run, reference, n_cut=1))
    show(signal=number.name, **figures)


def test_workers_that_are_killed_and_a_killed_main_process_of_workers(
    source: Source, study: Path, reference: Reference, tmp_path: Path
) -> None:
    run = Torture(source, study, tmp_path / "both", words=("--workers", 2))
    command = run.start()
    run.wait_for_tasks(5)
    (*_, worker) = children_of(command.pid)
    os.kill(worker, signal.SIGKILL)
    run.wait_for_tasks(14)
    workers = children_of(command.pid)
    os.kill(command.pid, signal.SIGKILL)
    assert command.wait() == -signal.SIGKILL
    assert "it was killed (SIGKILL)" in command.text
    wait_until(lambda: not any(map(is_alive, workers)))
    resume(run)
    show(workers=2, **check(run, reference, n_cut=1 + 2))


def children_of(pid: int) -> list[int]:
    """Returns the processes that a process has started."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("place", ["run", "store"])
def test_a_disk_that_is_full_and_then_freed(
    source: Source, study: Path, reference: Reference, tmp_path: Path, place: str
) -> None:
    with mounted(tmp_path / "disk", 300 * MIB) as disk:
        for number, left in enumerate((0, 4 * BLOCK)):
            on_disk = disk.folder / str(number)
            placed = {"output": on_disk} if place == "run" else {"store": str(on_disk)}
            run = Torture(source, study, tmp_path / f"torture {number}", **placed)  # type: ignore[arg-type]
            command = run.start()
            run.wait_for_tasks(3 + 9 * number)
            disk.fill(left)
            status, said = command.wait(), command.text
            assert status == 2, said
            assert "Traceback" not in said
            assert str(disk.folder) in said.partition("\nError: ")[2]
            assert "No space left on device" in said or "full" in said
            disk.free()
            resume(run)
            check(run, reference, n_cut=3)


def test_a_read_only_run_folder_or_store(
    source: Source, study: Path, reference: Reference, world_folder: Path, world: World, tmp_path: Path
) -> None:
    with mounted(tmp_path / "disk", 300 * MIB) as disk:
        first = Torture(source, study, disk.folder / "first")
        resume(first)
        names = first.names()
        disk.make_read_only()

        begun = tmp_path / "begun"
        again = Torture(source, study, begun, output=first.output, store=str(begun / "store"))
        status, said = again.run()  # it is complete, but a run locks its folder
        assert (status, "Traceback" in said) == (2, False), said
        assert f"Can't write to {first.output}: Read-only file system." in said

        new = Torture(source, study, tmp_path / "new", store=first.store)
        resume(new)  # everything is there
        assert new.table() == reference.table
        assert not (tmp_path / "new" / "tasks 1").read_text()

        other = write_torture_study(tmp_path, world_folder, world, checkpoints=[0, 3], suites=[])
        more = Torture(source, other, tmp_path / "more", store=first.store)
        status, said = more.run()
        assert (status, "Traceback" in said) == (2, False), said
        assert first.store in said.partition("\nError: ")[2]
        assert "Read-only file system" in said
        assert first.names() == names


def test_a_store_that_is_a_url(source: Source, study: Path, reference: Reference, tmp_path: Path) -> None:
    run = Torture(
        source, study, tmp_path / "url", environment={"SEQUELA_STORE": f"file://{tmp_path}/url/store"}
    )
    assert run.kill_when(12, 0.05) == -signal.SIGKILL
    resume(run)
    check(run, reference, n_cut=1)
