"""Studies on real Ray clusters of this machine: the results of one process, also when a node is lost."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sequela.results import open_store
from sequela.scheduling import Outcome, Task
from sequela.scheduling.ray_cluster import LOOPBACK
from sequela.studies import Study, run, run_study
from sequela.studies.run_listener import RunListener
from sequela.studies.tasks import EditTask, MeasureTask
from sequela.studies.workers import Workers
from support.ray_clusters import marked, needs_processes, two_nodes
from support.runs import MessageLog, checkpoint_files, edit_records, measured
from support.watched_nodes import WatchedBench

MakeStudy = Callable[..., Study]

pytestmark = [pytest.mark.slow, needs_processes]


@pytest.fixture
def mark() -> Iterator[str]:
    """The mark of all processes of a test; none is left after it."""
    with marked() as value:
        yield value


class Observed:
    """Which tasks of a run were under way at the same time, by what the main process hears.

    Args:
        patch: Replaces what the listener of runs does.
        act: Is called when a task has begun, with all tasks that are under way.
    """

    def __init__(self, patch: pytest.MonkeyPatch, act: Callable[[list[Task]], None]) -> None:
        self.under_way: dict[str, Task] = {}
        self.pairs: list[tuple[Task, Task]] = []
        self.done: Counter[str] = Counter()
        started, finished, retried = RunListener.started, RunListener.finished, RunListener.retried

        def observed_start(listener: RunListener, task: Task, worker: str) -> None:
            started(listener, task, worker)
            self.pairs += [(other, task) for other in self.under_way.values()]
            self.under_way[task.key] = task
            act([*self.under_way.values()])

        def observed_end(listener: RunListener, outcome: Outcome) -> None:
            self.under_way.pop(outcome.task.key, None)
            self.done[outcome.task.label] += outcome.state.value == "done"
            finished(listener, outcome)

        def observed_failure(listener: RunListener, task: Task, *others: Any) -> None:
            self.under_way.pop(task.key, None)
            retried(listener, task, *others)

        patch.setattr(RunListener, "started", observed_start)
        patch.setattr(RunListener, "finished", observed_end)
        patch.setattr(RunListener, "retried", observed_failure)


def is_measured_while_edits_go_on(one: Task, other: Task) -> bool:
    """Returns whether one task measures a checkpoint, and the other edits on from the same checkpoint."""
    return any(
        isinstance(measure.payload, MeasureTask)
        and isinstance(edit.payload, EditTask)
        and measure.payload.checkpoint == edit.payload.before
        for measure, edit in ((one, other), (other, one))
    )


def content(folder: Path) -> tuple[object, ...]:
    """Returns all that a run has found, without times."""
    with open_store(folder) as store:
        items = {key: store.items(key) for key in store.evaluations()}
    edits = [one.model_copy(update={"seconds": 0}) for one in edit_records(folder)]
    return measured(folder), items, edits, checkpoint_files(folder)


def test_a_study_on_two_nodes_of_which_one_is_lost(
    make_study: MakeStudy, finished: Path, tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost or done twice but what was cut; the messages name the node and the task."""
    loads = tmp_path / "loads"
    monkeypatch.setattr(run, "NodeBench", partial(WatchedBench, loads))
    with two_nodes() as cluster:
        head, other = cluster.list_all_nodes()

        def lose_a_node(under_way: list[Task]) -> None:
            if len(under_way) == 2 and any(isinstance(task.payload, EditTask) for task in under_way):
                if cluster.list_all_nodes() == [head, other]:
                    cluster.remove_node(other, allow_graceful=False)

        observed, log = Observed(monkeypatch, lose_a_node), MessageLog()
        run_study(make_study(), tmp_path / "run", log, workers=Workers(2, "ray", cluster.address))
    assert content(tmp_path / "run") == content(finished)
    (lost,) = [line for line in log.lines if " ended: " in line]
    name = lost.partition(" ")[0:1] and lost.partition(" ended: ")[0]
    assert lost == f"{name} ended: its node {os.uname().nodename} ({LOOPBACK}) is gone"
    (again,) = [line for line in log.lines if line.endswith(" and is tried again")]
    assert f" failed ({name} ended during the task: its node {os.uname().nodename} ({LOOPBACK})" in again
    assert set(observed.done.values()) == {1}
    assert len(loads.read_text().split()) == 2  # each worker has loaded the model once, for all of its tasks
