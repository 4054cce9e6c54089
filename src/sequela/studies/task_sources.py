"""The parts with which a process does the tasks of a study: first tasks, what is stored, and workers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sequela.core.precision import Precision
from sequela.core.progress import Progress
from sequela.scheduling import Executor, Task, TaskGraph
from sequela.store import Address, DamagedObjectError, Store
from sequela.studies.pieces import loading
from sequela.studies.plan import Plan
from sequela.studies.tasks import UNSTORED, OfModel, TaskKind
from sequela.studies.workbench import StudyWorkbench
from sequela.studies.workers import Workers


def first_tasks(plan: Plan) -> TaskGraph:
    """Returns the tasks that load the models, from which all others follow."""
    return TaskGraph(
        Task(
            f"load {model}",
            TaskKind.LOAD.value,
            f"loading {model}",
            place=(model,),
            weight=loading(model).weight,
            payload=OfModel(model),
        )
        for model in plan.study.models
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


def executor_of(plan: Plan, objects: Store, precision: Precision, workers: Workers) -> Executor:
    """Returns the workers with their workbenches."""
    return workers.make(
        lambda: StudyWorkbench.of_plan(plan, objects, precision),
        partial(StudyWorkbench.of_study, plan.study, objects, precision),
    )
