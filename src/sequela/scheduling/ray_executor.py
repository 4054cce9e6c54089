"""An executor whose workers are on the nodes of a Ray cluster."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sequela.core.errors import SequelaError
from sequela.core.progress import Progress
from sequela.core.wording import size_in_words
from sequela.scheduling.executor import Lost, Replied, Report, WorkbenchFactory, Worker, numbered_workers
from sequela.scheduling.outcome import Cause, Failure
from sequela.scheduling.processes import GRACE
from sequela.scheduling.ray_cluster import RayCluster, amount_in_words, ray_resources
from sequela.scheduling.ray_worker import Heard, RayWorker
from sequela.scheduling.reporting import Replay
from sequela.scheduling.running import failure_of
from sequela.scheduling.task import UNLIMITED, Resources, Task

logger = logging.getLogger(__name__)

PATIENCE = 120.0
"""The time, in seconds, in which at least one worker must be there."""

MOST_STARTS = 3
"""The number of times that a worker may end before it was there, one after the other."""

SECONDS_TO_LISTEN = 2.0
"""The time, in seconds, after which an actor answers although nothing has happened."""

_ENVIRONMENT_OF_ACTORS = {"RAY_kill_child_processes_on_worker_exit": "0"}
"""Ray would kill a worker's process, but not what its task has started; left alone, the process does both."""


def fitting_workers(
    address: str | None = None,
    resources: Resources = UNLIMITED,
    cpus: float = 1,
    environment: Mapping[str, str] | None = None,
) -> list[Worker]:
    """Returns as many workers as the nodes of a cluster have room for, or the CPUs of this machine.

    Args:
        address: Like that of `RayExecutor`.
        resources: What each worker requires and has.
        cpus: The CPUs of each worker.
        environment: Environment variables of its process.

    Raises:
        SequelaError: The cluster can't be reached, or has no room for any.
    """
    cluster = RayCluster(address)
    try:
        n = cluster.n_fitting(resources, cpus)
        nodes = cluster.nodes_in_words()
    finally:
        cluster.disconnect()
    if not n:
        raise _no_room(resources, cpus, nodes)
    return numbered_workers(n, resources, environment)


class RayExecutor:
    """Runs tasks on the nodes of a Ray cluster, each worker in an actor of its own.

    An actor is placed on a node that has what its worker requires; it holds a process with the workbench,
    which is built once. Workers for which there is no room are absent, and get no task, until there is some.
    If an actor or its node is lost, a new actor takes its place as soon as a node has room.

    Factory, payloads and results are pickled, so what they refer to must be importable on all nodes. Outputs
    go to a store that all nodes reach. While it is open, Ray's own messages are not shown; its log files are
    on the nodes, by default in `/tmp/ray`.

    Args:
        factory: Builds the workbench of a worker.
        workers: The workers, such as `fitting_workers(address)`; their resources are requested from Ray
            (`num_gpus`, `memory`), and their environment variables are those of their processes.
        address: `host:port` of the head node, `ray://host:port` of a Ray client server, or `auto` for the
            cluster of this machine or of `RAY_ADDRESS`; None starts a cluster of this machine alone, which
            ends with the run.
        cpus: The CPUs that each worker requests.
        grace: The time in seconds that an interrupted task has to end by itself when the run is closed.
        patience: The time in seconds in which at least one worker must be there.
    """

    def __init__(
        self,
        factory: WorkbenchFactory,
        workers: Sequence[Worker],
        address: str | None = None,
        cpus: float = 1,
        grace: float = GRACE,
        patience: float = PATIENCE,
    ) -> None:
        self._factory = factory
        self._workers = tuple(workers)
        self._address = address
        self._cpus = cpus
        self._grace = grace
        self._patience = patience
        self._cluster: RayCluster | None = None
        self._actors: dict[int, _Actor] = {}
        self._replays: list[Replay] = []
        self._unsent: list[Report] = []
        self._present_at = 0.0
        self._failed_starts: dict[int, int] = {}

    @property
    def workers(self) -> Sequence[Worker]:
        """The workers."""
        return self._workers

    @property
    def absent(self) -> Collection[int]:
        """The numbers of the workers whose actors are not there yet."""
        return [number for number, actor in self._actors.items() if not actor.is_there]

    def open(self, progress: Callable[[str], Progress]) -> None:
        """Connects to the cluster and requests all actors.

        Raises:
            SequelaError: The package ray isn't installed, or the cluster can't be reached.
        """
        self._replays = [Replay("", progress(worker.name)) for worker in self._workers]
        self._cluster = RayCluster(self._address)
        self._present_at = time.monotonic()
        self._actors = {number: self._started(number) for number in range(len(self._workers))}

    def submit(self, worker: int, task: Task) -> None:
        """Gives a task to a worker that is there."""
        actor = self._actors[worker]
        actor.has_task = True
        try:
            actor.submission = actor.handle.submit.remote(task)
        except Exception as error:  # noqa: BLE001 - pickling may raise anything
            actor.has_task = False
            self._unsent.append(Replied(worker, failure_of(error)))

    def wait(self, seconds: float) -> Sequence[Report]:
        """Returns the answers of workers, and the numbers of those that were lost.

        Raises:
            SequelaError: There has been no worker for too long, or one can't be started.
        """
        reports, self._unsent = self._unsent, []
        refs = {ref: number for number, actor in self._actors.items() for ref in actor.refs}
        ready, _ = self._ray.wait(
            list(refs), num_returns=len(refs), timeout=0 if reports else 0.001, fetch_local=True
        )
        if not ready and not reports:
            ready, _ = self._ray.wait(list(refs), num_returns=1, timeout=seconds, fetch_local=True)
        for ref in ready:
            number = refs[ref]
            if ref in self._actors[number].refs:
                reports += self._received(number, ref)
        self._check_presence()
        return reports

    def interrupt(self, worker: int) -> bool:
        """Kills the actor of a worker, and with it its process and all that this has started."""
        self._ray.kill(self._actors[worker].handle, no_restart=True)
        return True

    def close(self) -> None:
        """Ends all actors, after an interrupt of their tasks, and the cluster if it was started here."""
        cluster, actors = self._cluster, [actor.handle for actor in self._actors.values() if actor.is_there]
        absent = [actor.handle for actor in self._actors.values() if not actor.is_there]
        self._cluster, self._actors, self._unsent, self._failed_starts = None, {}, [], {}
        try:
            for replay in self._replays:
                replay.finish()
            if cluster is not None:
                for handle in absent:
                    cluster.ray.kill(handle, no_restart=True)
                cluster.ray.wait(
                    [handle.close.remote() for handle in actors] or [cluster.ray.put(None)],
                    num_returns=max(1, len(actors)),
                    timeout=self._grace + 2,
                )
        finally:
            self._replays = []
            if cluster is not None:
                try:
                    for handle in actors:
                        cluster.ray.kill(handle, no_restart=True)
                finally:
                    cluster.disconnect()

    @property
    def _ray(self) -> Any:
        assert self._cluster is not None, "the executor is closed"
        return self._cluster.ray

    def _started(self, number: int) -> _Actor:
        """Requests an actor, which is there as soon as a node has room for it."""
        worker = self._workers[number]
        needed = ray_resources(worker.resources)
        remote = self._ray.remote(RayWorker).options(
            num_cpus=self._cpus,
            num_gpus=needed["GPU"],
            memory=needed["memory"] or None,
            max_restarts=0,
            max_concurrency=4,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": _ENVIRONMENT_OF_ACTORS},
        )
        handle = remote.remote(self._factory, worker, self._grace)
        return _Actor(handle, handle.node.remote())

    def _received(self, number: int, ref: Any) -> list[Report]:
        """Returns what an answer of an actor reports, and replays the messages in it."""
        actor = self._actors[number]
        try:
            answer = self._ray.get(ref)
        except self._ray.exceptions.RayActorError as error:
            return self._replaced(number, error)
        except Exception as error:  # noqa: BLE001 - unpickling, there or here, may raise anything
            return self._unreadable(number, ref, error)
        if ref == actor.submission:
            actor.submission = None
            return []
        actor.listening = actor.handle.listen.remote(SECONDS_TO_LISTEN)
        if not isinstance(answer, Heard):
            actor.is_there, actor.node = True, str(answer)
            logger.debug("%s is on %s", self._workers[number].name, actor.node)
            self._failed_starts.pop(number, None)
            return []
        for message in answer.messages:
            self._replays[number].report(message)
        return [report for one in answer.reports if (report := self._numbered(number, one))]

    def _numbered(self, number: int, report: Report) -> Report | None:
        """Returns a report of an actor with the worker's number; None if it has no task."""
        self._replays[number].finish()
        actor = self._actors[number]
        if not actor.has_task:
            return None
        actor.has_task = False
        if isinstance(report, Lost):
            return Lost(number, report.reason, report.log)
        return Replied(number, report.reply)

    def _unreadable(self, number: int, ref: Any, error: Exception) -> list[Report]:
        actor = self._actors[number]
        what = "task can't be read by the worker" if ref == actor.submission else "result can't be read"
        if ref == actor.submission:
            actor.submission = None
        else:
            actor.listening = actor.handle.listen.remote(SECONDS_TO_LISTEN)
        failure = failure_of(error)
        words = Failure(Cause.ERROR, f"The {what}: {failure.error}", failure.log)
        report = self._numbered(number, Replied(0, words))
        return [report] if report else []

    def _replaced(self, number: int, error: Exception) -> list[Report]:
        """Requests a new actor; returns the loss of the old one if it had a task."""
        actor, name = self._actors[number], self._workers[number].name
        reason = _loss_in_words(error, actor.node)
        if not actor.is_there:
            self._failed_starts[number] = self._failed_starts.get(number, 0) + 1
            if self._failed_starts[number] >= MOST_STARTS:
                raise SequelaError(f"{name} can't be started on the Ray cluster: {reason}.")
        self._ray.kill(actor.handle, no_restart=True)  # if it can't be reached, it may still be there
        self._replays[number].finish()
        self._actors[number] = self._started(number)
        if actor.has_task:
            return [Lost(number, reason)]
        logger.warning("%s ended while it had no task: %s", name, reason)
        return []

    def _check_presence(self) -> None:
        if len(self.absent) < len(self._actors):
            self._present_at = time.monotonic()
        elif time.monotonic() - self._present_at > self._patience and self._cluster is not None:
            raise _no_room(self._workers[0].resources, self._cpus, self._cluster.nodes_in_words())


@dataclass
class _Actor:
    """An actor, and the answers that it owes.

    Args:
        handle: Ray's handle.
        listening: The answer of `node`, then of `listen`.
        submission: The answer of `submit`.
        is_there: True if it has been placed and started.
        node: The name and the address of its node, once it is there.
        has_task: True if it has a task.
    """

    handle: Any
    listening: Any
    submission: Any = None
    is_there: bool = False
    node: str = ""
    has_task: bool = False

    @property
    def refs(self) -> list[Any]:
        return [ref for ref in (self.submission, self.listening) if ref is not None]


def _loss_in_words(error: Exception, node: str) -> str:
    """Returns why an actor was lost; Ray's texts are several lines with identifiers."""
    text = str(error)
    its_node = f"its node {node}" if node else "its node"
    if "node has died" in text or "node was terminated" in text or "Node Id" in text:
        return f"{its_node} is gone"
    if "creation task" in text:
        return f"it failed to start: {text.strip().splitlines()[-1].strip()}"
    if "ray.kill" in text:
        return "its actor was killed"
    if "running low on memory" in text:
        return f"{its_node} ran out of memory"
    where = f" on the node {node}" if node else ""
    return f"its actor{where} ended or can't be reached any more"


def _no_room(resources: Resources, cpus: float, nodes: str) -> SequelaError:
    parts = [amount_in_words(cpus, "CPU"), amount_in_words(resources.gpus, "GPU")]
    if resources.memory != float("inf"):
        parts.append(f"{size_in_words(resources.memory)} of memory")
    needed = " and ".join(part for part in parts if part)
    return SequelaError(
        f"No node of the Ray cluster has room for a worker with {needed}. The nodes: {nodes}.",
        hint="`ray status` shows what else runs there. Add nodes, or ask for less for each worker.",
    )
