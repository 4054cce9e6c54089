"""Studies on real Ray clusters of this machine: the results of one process, also when a node is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sequela.core.errors import SequelaError
from sequela.results import open_store
from sequela.scheduling import Outcome, Task
from sequela.scheduling.ray_cluster import LOOPBACK
from sequela.store import Kind
from sequela.store import open_store as open_objects
from sequela.studies import Study, run_study, task_sources
from sequela.studies.run_listener import RunListener
from sequela.studies.tasks import EditTask, MeasureTask
from sequela.studies.workers import Workers
from support.ray_clusters import (
    head_alone,
    marked,
    marked_pids,
    needs_processes,
    node_without,
    two_nodes,
)
from support.runs import MessageLog, checkpoint_files, edit_records, measured
from support.scheduling import PATIENCE, wait_until
from support.studies import write_study
from support.watched_nodes import WatchedWorkbench

MakeStudy = Callable[..., Study]

ROME = {"name": "rome", "settings": {"mom2_adjustment": False, "n_contexts": 1, "v_num_grad_steps": 8}}

pytestmark = [pytest.mark.slow, needs_processes]


@pytest.fixture
def mark() -> Iterator[str]:
    """The mark of all processes of a test; none is left after it."""
    with marked() as value:
        yield value


class Observed:
    """The tasks of a run that were under way at the same time, as the main process hears of them.

    Args:
        patch: Replaces what the listener of runs does.
        act: Is called when a task has begun, with all tasks that are under way.
    """

    def __init__(self, patch: pytest.MonkeyPatch, act: Callable[[list[Task]], None]) -> None:
        self.under_way: dict[str, Task] = {}
        self.done: Counter[str] = Counter()
        started, finished, retried = RunListener.started, RunListener.finished, RunListener.retried

        def observed_start(listener: RunListener, task: Task, worker: str) -> None:
            started(listener, task, worker)
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
    make_study: MakeStudy, tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost or done twice but what was cut; the messages name the node and the task.

    The node is lost while a checkpoint is measured on one node, and the trajectory goes on on the other.
    """
    study, loads = make_study(editors=[ROME]), tmp_path / "loads"
    run_study(study, tmp_path / "alone")
    monkeypatch.setenv("SEQUELA_STORE", str(tmp_path / "empty"))
    monkeypatch.setattr(task_sources, "NodeWorkbench", partial(WatchedWorkbench, loads))
    with two_nodes() as cluster:
        head, other = cluster.list_all_nodes()

        def lose_a_node(under_way: list[Task]) -> None:
            goes_on = len(under_way) == 2 and is_measured_while_edits_go_on(*under_way)
            if goes_on and cluster.list_all_nodes() == [head, other]:
                cluster.remove_node(other, allow_graceful=False)

        observed, log = Observed(monkeypatch, lose_a_node), MessageLog()
        run_study(study, tmp_path / "run", log, workers=Workers(2, "ray", cluster.address))
    assert content(tmp_path / "run") == content(tmp_path / "alone")
    (lost,) = [line for line in log.lines if " ended: " in line]
    name = lost.partition(" ended: ")[0]
    assert lost == f"{name} ended: its node {os.uname().nodename} ({LOOPBACK}) is gone"
    (again,) = [line for line in log.lines if line.endswith(" and is tried again")]
    assert f" failed ({name} ended during the task: its node {os.uname().nodename} ({LOOPBACK})" in again
    assert set(observed.done.values()) == {1}
    assert len(loads.read_text().split()) == 2  # each worker has loaded the model once, for all of its tasks


def test_a_node_that_does_not_see_the_store(
    make_study: MakeStudy, tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its machine has another folder of the same name. That is said at once, and nothing is computed."""
    store = tmp_path / "store"
    store.mkdir()
    monkeypatch.setenv("SEQUELA_STORE", str(store))
    with (
        head_alone() as cluster,
        node_without(store, cluster.address),
        pytest.raises(SequelaError) as caught,
    ):
        run_study(make_study(), tmp_path / "run", workers=Workers(1, "ray", cluster.address))
    node = os.uname().nodename
    assert f"The node {node} doesn't see the store of the run, {store}: " in str(caught.value)
    assert "Set SEQUELA_STORE to a folder that all nodes share" in str(caught.value)
    assert list(open_objects().entries()) == []
    assert not list(store.rglob("signs/*"))


def test_ctrl_c_ends_a_cluster_of_its_own_and_the_run_goes_on(
    make_study: MakeStudy, finished: Path, tmp_path: Path, mark: str
) -> None:
    """No process is left, and what was stored is not done again."""
    study, folder = make_study(), tmp_path / "run"
    file = write_study(tmp_path / "study.yaml", study.model_dump(mode="json", exclude_defaults=True))
    command = [sys.executable, "-m", "sequela", "run", file, "-o", folder, "--executor", "ray"]
    main = subprocess.Popen(
        ["env", "--default-signal=INT", *command, "--workers", "2"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    store = open_objects()
    wait_until(lambda: any(store.entries([Kind.CHECKPOINT])), 5 * PATIENCE)
    os.killpg(main.pid, signal.SIGINT)
    _, printed = main.communicate(timeout=PATIENCE)
    assert main.returncode == 130, printed.decode()
    assert "--executor ray --workers 2" in printed.decode()
    assert "Traceback" not in printed.decode()
    assert marked_pids(mark) == []
    run_study(study, folder)
    assert content(folder) == content(finished)
