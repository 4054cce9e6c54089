"""Counting how often edits that sit beside the model apply to what it is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.evaluation.suite import Suite
from sequela.inference.engine import Engine, Generation, GenerationRequest, Score, ScoreRequest
from sequela.results import TaskResult, mean_and_stderr
from sequela.results.metrics import HIT_RATE


class HitCounter:
    """An engine that hands everything on and remembers what hit.

    Args:
        engine: What runs the requests.
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
            self._note(request.context, answer.hit)
        return answers

    def generate(
        self, model: EditedModel, requests: Sequence[GenerationRequest], progress: Progress = SILENT
    ) -> list[Generation]:
        """Continues prompts greedily."""
        answers = self.engine.generate(model, requests, progress)
        for request, answer in zip(requests, answers, strict=True):
            self._note(request.prompt, answer.hit)
        return answers

    def _note(self, asked: tuple[int, ...], hit: bool | None) -> None:
        """Four choices of one question are one decision."""
        if hit is not None:
            self.hits[asked] = hit


def evaluate_counting(
    suite: Suite, edited: EditedModel, engine: Engine, progress: Progress = SILENT
) -> list[TaskResult]:
    """What a suite finds, and how often edits beside the model applied to what it asked."""
    counter = HitCounter(engine)
    return [*suite.evaluate(edited, counter, progress), *hit_rate(suite.name, counter.hits)]


def hit_rate(suite: str, hits: Mapping[tuple[int, ...], bool]) -> list[TaskResult]:
    """How often edits beside the model applied to what a suite asked; nothing if none sit there.

    Whatever such a method changes of a suite's scores, it changes on the requests that hit.

    Args:
        suite: The suite.
        hits: For each context that was asked, whether one applied.
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
