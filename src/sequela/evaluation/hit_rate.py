"""Counts how often the edits of memory-based and in-context methods apply to the requests of a suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.evaluation.suite import Suite
from sequela.inference.engine import Engine, Generation, GenerationRequest, Score, ScoreRequest
from sequela.results import TaskResult, mean_and_stderr
from sequela.results.metrics import HIT_RATE


class HitCounter:
    """An engine that passes requests on to another and records for which of them an edit applied.

    Args:
        engine: The engine that runs the requests.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.hits: dict[tuple[int, ...], bool] = {}

    def score(
        self, model: EditedModel, requests: Sequence[ScoreRequest], progress: Progress = SILENT
    ) -> list[Score]:
        """Scores continuations."""
        answers = self.engine.score(model, requests, progress)
        for request, answer in zip(requests, answers, strict=True):
            self._record(request.context, answer.hit)
        return answers

    def generate(
        self, model: EditedModel, requests: Sequence[GenerationRequest], progress: Progress = SILENT
    ) -> list[Generation]:
        """Continues prompts greedily."""
        answers = self.engine.generate(model, requests, progress)
        for request, answer in zip(requests, answers, strict=True):
            self._record(request.prompt, answer.hit)
        return answers

    def _record(self, context: tuple[int, ...], hit: bool | None) -> None:
        """Records a decision by its context, so that the choices of one question count once."""
        if hit is not None:
            self.hits[context] = hit


def evaluate_counting(
    suite: Suite, edited: EditedModel, engine: Engine, progress: Progress = SILENT
) -> list[TaskResult]:
    """Returns the results of a suite, and how often memory-based or in-context edits applied to it."""
    counter = HitCounter(engine)
    return [*suite.evaluate(edited, counter, progress), *hit_rate(suite.name, counter.hits)]


def hit_rate(suite: str, hits: Mapping[tuple[int, ...], bool]) -> list[TaskResult]:
    """Returns the share of a suite's requests to which a memory-based or in-context edit applied.

    Such a method can change a suite's scores only through these requests.

    Args:
        suite: The name of the suite.
        hits: For each requested context, whether an edit applied.

    Returns:
        One result, or none if no method of this kind was used.
    """
    if not hits:
        return []
    value, stderr = mean_and_stderr([float(hit) for hit in hits.values()])
    return [
        TaskResult(
            suite=suite,
            task="requests",
            metric=HIT_RATE.name,
            protocol="memory",
            value=value,
            stderr=stderr,
            n=len(hits),
        )
    ]
