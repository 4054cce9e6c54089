"""The pieces of work of a study, with weights from which the remaining time is estimated.

A weight is the approximate number of tokens that go through the model. Weights matter only until a similar
piece has been timed: every suite is timed on the unedited model, and every method at its first edits.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from sequela.core.workload import Piece
from sequela.evaluation.suite import Suite
from sequela.results import EDIT_QUALITY
from sequela.scheduling import Task
from sequela.studies.plan import Plan
from sequela.studies.run_part import WHOLE, RunPart
from sequela.studies.tasks import EditTask, MeasureTask, OfModel, TaskKind

SUITE_TOKENS = 10_000
"""The weight of a suite that doesn't state its size."""

QUALITY_TOKENS = 400
"""The weight of measuring one edit: about ten prompts, continued by up to sixteen tokens."""

ANSWER_TOKENS = 150
"""The weight of the neighborhood prompts of one edit on the unedited model."""

EDIT_TOKENS = 2500
"""The weight of one edit: some tens of gradient steps on short texts, and the measurement right after it."""

ALARM_TOKENS = 1500
"""The weight of one measurement of the health metrics."""

QUICK_TOKENS = 5000
"""The maximum weight of a quick evaluation, which takes some seconds with a small model."""


def suite_tokens(suite: Suite) -> float:
    """Returns the approximate number of tokens of a suite, or a typical number if it doesn't state it."""
    return float(getattr(suite, "n_tokens", SUITE_TOKENS))


def loading(model: str) -> Piece:
    """Returns the piece of loading a model, which may include a download."""
    return Piece(("load", model), 1, typical=False)


def preparing(model: str, method: int) -> Piece:
    """Returns the piece of a method's preparation: seconds, minutes with statistics, hours with training."""
    return Piece(("prepare", str(method), model), 1, typical=False)


def measuring(model: str, suite: str, weight: float) -> Piece:
    """Returns the piece of a suite on a model."""
    return Piece(("evaluate", suite, model), weight)


def editing(model: str, method: int, n_edits: int) -> Piece:
    """Returns the piece of the edits between two checkpoints, with the measurements right after them."""
    return Piece(("edit", str(method), model), EDIT_TOKENS * n_edits)


def piece_of(task: Task) -> Piece | None:
    """Returns the piece of a task; None if it takes no time."""
    payload = task.payload
    if isinstance(payload, EditTask):
        return editing(payload.to.model, payload.to.method, payload.to.n_edits - payload.start)
    if isinstance(payload, MeasureTask):
        return measuring(payload.at.model, payload.suite, task.weight)
    assert isinstance(payload, OfModel)
    if task.kind == TaskKind.LOAD.value:
        return loading(payload.model)
    if task.kind == TaskKind.PREPARE.value and payload.method is not None:
        return preparing(payload.model, payload.method)
    if task.kind == TaskKind.PLAN_METHOD.value:
        return None
    suite = payload.suite or {TaskKind.ASK_UNEDITED.value: "answers"}.get(task.kind, "health")
    return measuring(payload.model, suite, task.weight)


def pieces_of(plan: Plan, part: RunPart = WHOLE) -> Iterator[Piece]:
    """Yields all pieces of a study, or of a part of it."""
    study = plan.study
    for model in filter(part.has_model, study.models):
        yield loading(model)
        for edits in plan.samples.values():
            yield measuring(model, "answers", ANSWER_TOKENS * len(edits))
            yield measuring(model, EDIT_QUALITY, QUALITY_TOKENS * len(edits))
        yield from _measuring_suites(plan, model)
        if study.alarms.every:
            yield measuring(model, "health", ALARM_TOKENS)
        for method in range(len(plan.editors)):
            if not part.has_method(study, method):
                continue
            yield preparing(model, method)
            for _ in (one for one in study.orders if part.has_order(*one)):
                for start, stop in pairwise(study.checkpoints):
                    yield editing(model, method, stop - start)
                    yield measuring(model, EDIT_QUALITY, QUALITY_TOKENS * stop)
                    yield from _measuring_suites(plan, model)


def _measuring_suites(plan: Plan, model: str) -> Iterator[Piece]:
    for suite in plan.suites:
        yield measuring(model, suite.name, suite_tokens(suite))
