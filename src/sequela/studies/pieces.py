"""The pieces of work of a study, with weights from which the remaining time is estimated.

A weight is the approximate number of tokens that go through the model. Weights matter only until a similar
piece has been timed: every suite is timed on the unedited model, and every method at its first edit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from sequela.core.workload import Piece
from sequela.edited import EditedModel
from sequela.evaluation.suite import Suite
from sequela.results import ALARMS, EDIT_QUALITY, EvaluationKey, ItemRecord, TaskResult
from sequela.studies.plan import Plan

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

Measure = Callable[[], tuple[list[TaskResult], list[ItemRecord]]]
"""Runs an evaluation; returns its results and the items behind them."""


@dataclass(frozen=True)
class Evaluation:
    """An evaluation that has yet to run.

    Args:
        suite: The suite's name.
        version: The suite's version.
        piece: The piece of work.
        measure: The function that runs it.
    """

    suite: str
    version: str
    piece: Piece
    measure: Measure

    @property
    def is_quick(self) -> bool:
        """True if it is short enough to provide the first numbers of a run."""
        return self.piece.weight <= QUICK_TOKENS

    def key(self, trajectory: str, n_edits: int, edited: EditedModel) -> EvaluationKey:
        """Returns the key under which the evaluation of an edited model is stored.

        Args:
            trajectory: The trajectory's hash.
            n_edits: The checkpoint.
            edited: The edited model.
        """
        return EvaluationKey(
            trajectory=trajectory,
            n_edits=n_edits,
            suite=self.suite,
            suite_version=self.version,
            model_hash=edited.content_hash,
        )


def loading(model: str) -> Piece:
    """Returns the piece of loading a model, which may include a download."""
    return Piece(("load", model), 1, typical=False)


def preparing(model: str, editor: str) -> Piece:
    """Returns the piece of an editor's preparation: seconds, minutes with statistics, hours with training."""
    return Piece(("prepare", editor, model), 1, typical=False)


def answering(model: str, n_edits: int) -> Piece:
    """Returns the piece of the unedited model's answers to neighborhood prompts."""
    return Piece(("evaluate", "answers", model), ANSWER_TOKENS * n_edits)


def evaluating(model: str, suite: str, tokens: float) -> Piece:
    """Returns the piece of a suite at a checkpoint."""
    return Piece(("evaluate", suite, model), tokens)


def measuring_edits(model: str, n_edits: int) -> Piece:
    """Returns the piece of edit quality at a checkpoint."""
    return evaluating(model, EDIT_QUALITY, QUALITY_TOKENS * n_edits)


def reading_alarms(model: str) -> Piece:
    """Returns the piece of measuring the health metrics once."""
    return evaluating(model, ALARMS, ALARM_TOKENS)


def editing(model: str, editor: str, n_edits: int) -> Piece:
    """Returns the piece of a batch of edits, including the measurement right after it."""
    return Piece(("edit", editor, model), EDIT_TOKENS * n_edits)


def suite_tokens(suite: Suite) -> float:
    """Returns the approximate number of tokens of a suite, or a typical number if it doesn't state it."""
    return float(getattr(suite, "n_tokens", SUITE_TOKENS))


def pieces_of(plan: Plan) -> Iterator[Piece]:
    """Yields all pieces of a study."""
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
    """Yields the pieces of a trajectory that come after a number of edits."""
    for start, stop in pairwise(plan.study.checkpoints):
        for first in range(start, stop, batch_size):
            if first >= after:
                yield editing(model, editor, min(batch_size, stop - first))
        if stop > after:
            yield from _measuring(plan, model, stop)
    for n_edits in plan.study.monitors_due(batch_size):
        if n_edits > after:
            yield reading_alarms(model)


def _measuring(plan: Plan, model: str, n_edits: int) -> Iterator[Piece]:
    yield measuring_edits(model, n_edits)
    for suite in plan.suites:
        yield evaluating(model, suite.name, suite_tokens(suite))
