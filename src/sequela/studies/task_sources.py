"""The parts with which a process does the tasks of a study: first tasks, what is stored, and workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from sequela.core.progress import Progress
from sequela.models.loading import choose_device
from sequela.scheduling import Executor, Task, TaskGraph, WorkbenchFactory
from sequela.store import Address, DamagedObjectError, Store
from sequela.studies.node_workbench import NodeWorkbench
from sequela.studies.pieces import loading
from sequela.studies.plan import Plan
from sequela.studies.run_part import RunPart
from sequela.studies.run_setup import RunSetup
from sequela.studies.tasks import UNSTORED, OfModel, TaskKind
from sequela.studies.workbench import StudyWorkbench


def first_tasks(plan: Plan, part: RunPart) -> TaskGraph:
    """Returns the tasks that load the models of a part of a study, from which all others follow."""
    return TaskGraph(
        Task(
            f"load {model}",
            TaskKind.LOAD.value,
            f"loading {model}",
            place=(model,),
            weight=loading(model).weight,
            payload=OfModel(model),
        )
        for model in filter(part.has_model, plan.study.models)
    )


def stored_in(objects: Store, progress: Progress) -> Callable[[Task], bool]:
    """Returns a function that says whether the output of a task is in the store, intact."""

    def is_stored(task: Task) -> bool:
        if task.kind in UNSTORED:
            return False
        address = Address.parse(task.key)
        try:
            if objects.has(address):
                objects.fetch(address)  # which verifies it
                return True
        except DamagedObjectError as error:
            progress.say(f"{task.label} is done again: {error}")
        return False

    return is_stored


@contextmanager
def workers_of(setup: RunSetup, objects: Store, sign: str) -> Iterator[Executor]:
    """Yields the workers of a process that does tasks of a run, with their workbenches.

    Args:
        setup: What the process was started with.
        objects: The store of the outputs.
        sign: The name of the sign by which workers on other machines know the store.
    """
    study, workers = setup.plan.study, setup.workers
    with _workbench_elsewhere(setup, objects, sign) as elsewhere:
        yield workers.make(
            lambda: StudyWorkbench.of_plan(setup.plan, objects, setup.precision),
            elsewhere,
            choose_device(study.device).type,
            study.memory,
        )


@contextmanager
def _workbench_elsewhere(setup: RunSetup, objects: Store, sign: str) -> Iterator[WorkbenchFactory]:
    """Yields what builds the workbench of another process."""
    study = setup.plan.study
    if not setup.workers.are_elsewhere:
        yield partial(StudyWorkbench.of_study, study, objects, setup.precision)
        return
    with objects.signed(sign) as left:
        yield NodeWorkbench(study, objects, setup.precision, left)
