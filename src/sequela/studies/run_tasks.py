"""The tasks of a run, done by the workers, with their outputs collected as results."""

from __future__ import annotations

from collections.abc import Sequence

from sequela.core.errors import BadInputError, IntegrityError
from sequela.scheduling import Outcome, Scheduler, Task
from sequela.store import Address, ForbiddenStoreError, Store, run_id_of
from sequela.studies.cell_tasks import CellTasks
from sequela.studies.collector import Collector
from sequela.studies.joined import forget_dead, joined
from sequela.studies.model_tasks import PreparedMethod
from sequela.studies.outputs import Outputs
from sequela.studies.run_listener import RunListener
from sequela.studies.run_log import RunLog
from sequela.studies.run_requests import Requested, RunRequests
from sequela.studies.run_setup import RunSetup
from sequela.studies.run_status import StatusBoard, StatusFile
from sequela.studies.run_watch import RunWatch
from sequela.studies.task_sources import first_tasks, stored_in, workers_of
from sequela.studies.tasks import UNSTORED


def run_tasks(
    setup: RunSetup, log: RunLog, objects: Store, requests: RunRequests, finished: bool
) -> list[Outcome]:
    """Runs the tasks of a study; returns their outcomes.

    Args:
        setup: What the run was started with.
        log: The records of the run.
        objects: The store of the outputs.
        requests: The requests of other processes, such as a pause.
        finished: Whether all results are there, so that only models and methods are checked.
    """
    collector = Collector(log, Outputs(objects), finished, setup.update)
    board, cells, status_file = StatusBoard(), CellTasks(), StatusFile(log.folder)
    listener = RunListener(log, collector, several=log.n_workers > 1, board=board)
    is_in_store = stored_in(objects, log.progress)

    def expand(outcome: Outcome) -> Sequence[Task]:
        tasks = collector.expand(outcome)
        if not finished:  # before they are made, so that nobody removes them as unused
            stored = [Address.parse(task.key) for task in tasks if task.kind not in UNSTORED]
            used = outcome.result.used if isinstance(outcome.result, PreparedMethod) else frozenset()
            _register(objects, log, [*stored, *used])
        cells.add(outcome.result)
        watch.cancel()
        return tasks

    def is_stored(task: Task) -> bool:
        return task.kind not in UNSTORED if finished else is_in_store(task)

    def note_status(requested: Requested) -> None:
        if not finished:
            status_file.write(board.status(log.workload, requested, joined(log.folder)))

    with workers_of(setup, objects, run_id_of(log.folder)) as executor:
        graph = first_tasks(setup.plan, setup.part)
        scheduler = Scheduler(graph, executor, is_stored, listener, expand=expand)
        watch = RunWatch(scheduler, requests, cells, log.progress, note_status)
        try:
            with watch.looking():
                return scheduler.run()
        finally:
            status_file.remove()
            requests.clear()
            forget_dead(log.folder)


def _register(objects: Store, log: RunLog, used: Sequence[Address]) -> None:
    """Registers the objects that a run uses; a store that can't be written to needs to have them all.

    Raises:
        StoreError: The store can't be written to, and lacks an object.
        BadInputError: The registration is damaged; somebody has to remove it.
    """
    try:
        objects.register(run_id_of(log.folder), log.folder, used)
    except IntegrityError as error:
        raise BadInputError(error.message, hint=error.hint) from error
    except ForbiddenStoreError as error:
        if not all(map(objects.has, used)):
            raise
        log.progress.say(
            f"{error.message} All that was asked for is there, but not registered as used by this run."
        )
