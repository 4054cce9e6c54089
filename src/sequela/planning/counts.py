"""The requests of the tasks of one model: real counts by its tokenizer, or estimates by another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from sequela.evaluation.edit_quality.measure import (
    RETENTION_AT_N,
    SUCCESS_AT_EDIT,
    measure_edits,
    neighborhood_answers,
)
from sequela.evaluation.edit_quality.text_quality import measure_texts, reference_texts
from sequela.evaluation.suites.perplexity import WINDOW, HealthSuite
from sequela.inference import perplexity
from sequela.planning.counting import CountingEngine
from sequela.planning.planned_model import PlannedModel
from sequela.planning.work import Work, counted_work
from sequela.results import EDIT_QUALITY, ItemRecord, TaskResult


class Counts:
    """The work of the tasks of a model, each counted once.

    Edited models get the same requests as the unedited one, except with methods that rewrite prompts.

    Args:
        planned: The model without its weights.
    """

    def __init__(self, planned: PlannedModel) -> None:
        self.plan = planned.plan
        self._planned = planned
        self._unedited = planned.unedited
        self._tokens_of = planned.tokens_of

    @cached_property
    def suites(self) -> Mapping[str, Work]:
        """The work of each suite, and of edit quality for all edits of the study."""
        found = {}
        for suite in self.plan.suites:
            self._planned.progress.say(f"{self._planned.model.name}: counting the tokens of {suite.name}")
            found[suite.name] = counted_work(
                lambda engine, suite=suite: (suite.evaluate(self._unedited, engine), ()),  # type: ignore[misc]
                self._tokens_of,
            )
        found[EDIT_QUALITY] = counted_work(self._retention, self._tokens_of)
        return found

    @cached_property
    def answers(self) -> Work:
        """The work of asking the unedited model for reference answers."""
        settings, edits = self.plan.study.edit_quality, self.plan.edits

        def ask(engine: CountingEngine) -> tuple[tuple[()], tuple[()]]:
            neighborhood_answers(self._unedited, engine, edits, settings)
            reference_texts(self._unedited, engine, edits, settings)
            return (), ()

        return counted_work(ask, self._tokens_of)

    @cached_property
    def health(self) -> Work:
        """The work of one measurement of the health metrics."""
        window = min(WINDOW, self._planned.model.context_length)

        def measure(engine: CountingEngine) -> tuple[tuple[()], tuple[()]]:
            perplexity(engine, self._unedited, HealthSuite().text, window)
            return (), ()

        return counted_work(measure, self._tokens_of)

    def success(self, batch_size: int) -> Work:
        """Returns the work of measuring one batch right after it, the mean of all batches."""
        return self._success.scaled(min(batch_size, len(self.plan.edits)) / len(self.plan.edits))

    def quality(self, n_edits: int) -> Work:
        """Returns the work of measuring edit quality after a number of edits, by the mean edit."""
        return self.suites[EDIT_QUALITY].scaled(n_edits / len(self.plan.edits))

    @cached_property
    def _success(self) -> Work:
        edits, settings = self.plan.edits, self.plan.study.edit_quality
        return counted_work(
            lambda engine: ((), measure_edits(self._unedited, engine, edits, SUCCESS_AT_EDIT, settings)),
            self._tokens_of,
        )

    def _retention(self, engine: CountingEngine) -> tuple[Sequence[TaskResult], Sequence[ItemRecord]]:
        settings, edits = self.plan.study.edit_quality, self.plan.edits
        return (), [
            *measure_edits(self._unedited, engine, edits, RETENTION_AT_N, settings),
            *measure_texts(self._unedited, engine, edits, RETENTION_AT_N, settings, {}),
        ]
