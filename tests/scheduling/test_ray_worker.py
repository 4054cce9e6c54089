"""The class of Ray's actors, in this process, without Ray."""

from __future__ import annotations

import logging
from pathlib import Path

from sequela.scheduling import Lost, Replied, Report, Succeeded, Task, Worker
from sequela.scheduling.ray_worker import RayWorker
from sequela.scheduling.reporting import Logged, Message, ProgressMade, Said
from support.scheduling import folder_workbench, is_alive, task, wait_until


def heard(worker: RayWorker, given: Task) -> tuple[list[Message], Report]:
    """Gives a task to a worker and listens until it has ended."""
    messages: list[Message] = []
    reports: list[Report] = []
    worker.submit(given)
    while not reports:
        found = worker.listen(10)
        messages += found.messages
        reports += found.reports
    (report,) = reports
    return messages, report


def test_an_actor_passes_tasks_to_a_process_and_messages_back(tmp_path: Path) -> None:
    handlers = list(logging.getLogger().handlers)
    worker = RayWorker(
        folder_workbench(tmp_path), Worker("worker 7", environment={"SEQUELA_TEST": "yes"}), 10
    )
    try:
        assert worker.listen(0.01).reports == ()
        _, told = heard(worker, task("env", payload="tell SEQUELA_TEST"))
        messages, _ = heard(worker, task("a", payload="report 2000"))
        _, lost = heard(worker, task("b", payload="leave 3"))
        _, identified = heard(worker, task("c", payload="identify"))
    finally:
        worker.close()
        for handler in set(logging.getLogger().handlers).difference(handlers):
            logging.getLogger().removeHandler(handler)
    assert isinstance(told, Replied)
    assert isinstance(told.reply, Succeeded)
    assert told.reply.result == "yes"
    assert sum(one.units for one in messages if isinstance(one, ProgressMade)) == 2000
    assert Said("done with a") in messages
    assert Logged("sequela.test", logging.WARNING, "worker 7: a warning of a") in messages
    assert lost == Lost(0, "it exited with status 3", "")
    assert isinstance(identified, Replied)
    assert isinstance(identified.reply, Succeeded)
    pids = identified.reply.result
    assert isinstance(pids, tuple)
    wait_until(lambda: not is_alive(pids[0]))
