"""Runs that are killed, interrupted or short of disk space, resumed until done: the table of one that was not.

`SEQUELA_TORTURE=60 pytest -m slow -s tests/studies/test_torture.py` kills a run at 60 points instead of 20,
and prints the figures.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sequela.results import Status, read_manifest
from support.forked import Source, forking
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
def source() -> Iterator[Source]:
    with forking() as found:
        yield found


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


def test_killed_at_random_times(
    source: Source, study: Path, reference: Reference, tmp_path: Path
) -> None:
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


def test_killed_before_and_after_commit_steps(
    source: Source, study: Path, reference: Reference, tmp_path: Path
) -> None:
    figures = Counter[str]()
    kinds: Counter[str] = Counter()
    for number, (step, kind, moment) in enumerate(steps_to_try(reference.steps, POINTS - POINTS // 2)):
        run = Torture(source, study, tmp_path / str(number))
        status, said = run.run(kill_at=step, moment=moment)
        assert status == -signal.SIGKILL, said
        kinds[f"{moment} {kind}"] += 1
        resume(run)
        figures.update(check(run, reference, n_cut=1))
    show(kills="at commit steps", kinds=kinds, killed=sum(kinds.values()), **figures)
