"""A study as pieces of work with weights, from which the time it still takes is estimated.

Weights are about how many tokens go through the model. They decide only until something alike was timed:
every suite is timed on the unedited model, every method at its first edit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from sequela.core.workload import Piece
from sequela.evaluation.suite import Suite
from sequela.results import ALARMS, EDIT_QUALITY, ItemRecord, TaskResult
from sequela.studies.plan import Plan

SUITE_TOKENS = 10_000
"""For a suite that doesn't say its size."""

QUALITY_TOKENS = 400
"""For asking all about one edit: about ten prompts, continued by up to sixteen tokens."""

ANSWER_TOKENS = 150
"""For the neighborhood prompts of one edit, asked of the unedited model."""

EDIT_TOKENS = 2500
"""For one edit: some tens of steps with gradients over some short texts, and asking about it at once."""

ALARM_TOKENS = 1500
"""For one reading of the alarms."""


QUICK_TOKENS = 5000
"""An evaluation of no more tokens than this takes some seconds with a small model."""

Measure = Callable[[], tuple[list[TaskResult], list[ItemRecord]]]
"""Runs an evaluation; returns what it found and the items behind it."""


@dataclass(frozen=True)
class Evaluation:
    """An evaluation that is to be made.

    Args:
        suite: What it measures.
        version: The suite's version.
        piece: The piece of work that it is.
        measure: Makes it.
    """

    suite: str
    version: str
    piece: Piece
    measure: Measure

    @property
    def is_quick(self) -> bool:
        """Whether it takes so little that a first number may come from it."""
        return self.piece.weight <= QUICK_TOKENS


def loading(model: str) -> Piece:
    """Loading a model; it may have to be fetched."""
    return Piece(("load", model), 1, typical=False)


def preparing(model: str, editor: str) -> Piece:
    """What an editor does before the first edit: seconds, minutes with statistics, hours with a training."""
    return Piece(("prepare", editor, model), 1, typical=False)


def answering(model: str, n_edits: int) -> Piece:
    """What the unedited model says to the prompts that edits must leave alone."""
    return Piece(("evaluate", "answers", model), ANSWER_TOKENS * n_edits)


def evaluating(model: str, suite: str, tokens: float) -> Piece:
    """A suite at a checkpoint."""
    return Piece(("evaluate", suite, model), tokens)


def measuring_edits(model: str, n_edits: int) -> Piece:
    """Edit quality at a checkpoint."""
    return evaluating(model, EDIT_QUALITY, QUALITY_TOKENS * n_edits)


def reading_alarms(model: str) -> Piece:
    """The alarms' readings after some edits."""
    return evaluating(model, ALARMS, ALARM_TOKENS)


def editing(model: str, editor: str, n_edits: int) -> Piece:
    """A batch of edits, measured at once."""
    return Piece(("edit", editor, model), EDIT_TOKENS * n_edits)


def suite_tokens(suite: Suite) -> float:
    """About how many tokens a suite sends through a model, if it says so; else a typical number."""
    return float(getattr(suite, "n_tokens", SUITE_TOKENS))


def pieces_of(plan: Plan) -> Iterator[Piece]:
    """All the pieces of a study."""
    study = plan.study
    for model in study.models:
        yield loading(model)
        yield answering(model, len(plan.edits))
        yield from _measuring(plan, model, len(plan.edits))
        if study.alarms.every:
            yield reading_alarms(model)
        for choice, editor in plan.editors:
            yield preparing(model, editor.name)
            for _ in study.order_seeds:
                yield from trajectory_pieces(plan, model, editor.name, choice.batch_size)


def trajectory_pieces(
    plan: Plan, model: str, editor: str, batch_size: int, after: int = 0
) -> Iterator[Piece]:
    """The pieces of a trajectory that come after so many edits."""
    for start, stop in pairwise(plan.study.checkpoints):
        for first in range(start, stop, batch_size):
            if first >= after:
                yield editing(model, editor, min(batch_size, stop - first))
        if stop > after:
            yield from _measuring(plan, model, stop)
    for made in plan.study.monitors_due(batch_size):
        if made > after:
            yield reading_alarms(model)


def _measuring(plan: Plan, model: str, n_edits: int) -> Iterator[Piece]:
    yield measuring_edits(model, n_edits)
    for suite in plan.suites:
        yield evaluating(model, suite.name, suite_tokens(suite))
