"""Ray clusters of several nodes on this machine, and the processes that belong to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sequela.scheduling.ray_cluster import LOOPBACK
from support.scheduling import PATIENCE, is_alive, wait_until

MARK = "SEQUELA_TEST_OF_RAY"
"""The environment variable by which the processes of a test are known."""

STORE = 80 * 2**20
"""The size of the object store of a node, in bytes."""

_QUICK_TO_NOTICE = {
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 3,
}

needs_processes = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="the system doesn't list the processes"
)
"""Skips tests that look for processes which were left behind."""


@contextmanager
def marked() -> Iterator[str]:
    """Marks all processes that are started in a block; none may be left at its end.

    Raises:
        AssertionError: Some are; they have been killed.
    """
    pytest.importorskip("ray", reason="the extra ray is not installed")
    value = uuid.uuid4().hex
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARK, value)
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield value
    try:
        wait_until(lambda: not marked_pids(value))
    except TimeoutError:
        left = [Path(f"/proc/{pid}/cmdline").read_text()[:200] for pid in marked_pids(value)]
        for pid in marked_pids(value):
            os.kill(pid, signal.SIGKILL)
        raise AssertionError(f"these processes are left: {left}") from None


def marked_pids(mark: str) -> list[int]:
    """Returns the processes that a test has started, directly or not, and that are there."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        pid = int(path.parent.name)
        try:
            if f"{MARK}={mark}".encode() in path.read_bytes() and is_alive(pid) and pid != os.getpid():
                found.append(pid)
        except OSError:
            continue
    return found


def parent(pid: int) -> int:
    """Returns the number of the process that has started another one."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@contextmanager
def two_nodes() -> Iterator[Any]:
    """Starts a cluster of two nodes with a CPU each, of which the first one is the head."""
    with _head(1) as nodes:
        nodes.add_node(num_cpus=1, object_store_memory=STORE, node_ip_address=LOOPBACK)
        nodes.wait_for_nodes()
        yield nodes


@contextmanager
def head_alone() -> Iterator[Any]:
    """Starts a cluster whose head has no CPU for workers."""
    with _head(0) as nodes:
        yield nodes


@contextmanager
def node_without(folder: Path, address: str) -> Iterator[None]:
    """Adds a node with a CPU that sees an empty folder in place of one of this machine.

    Its processes have mounts of their own, for which root is needed.
    """
    ray = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "start"]
    options = [f"--address={address}", "--num-cpus=1", f"--object-store-memory={STORE}", "--block"]
    script = 'mount -t tmpfs none "$0" && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, str(folder), *ray, *options]
    if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("only root may mount folders, and not in every container")
    node = subprocess.Popen(
        [*command, f"--node-ip-address={LOOPBACK}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        node.terminate()
        node.wait(PATIENCE)


@contextmanager
def _head(cpus: int) -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    nodes = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": cpus,
            "object_store_memory": STORE,
            "include_dashboard": False,
            "node_ip_address": LOOPBACK,
            "_system_config": _QUICK_TO_NOTICE,
        },
    )
    try:
        yield nodes
    finally:
        nodes.shutdown()


class Background:
    """A thread beside a run, whose error the test raises."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised by the test
            self._error = error

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join(PATIENCE)
        if self._error is not None:
            raise self._error
