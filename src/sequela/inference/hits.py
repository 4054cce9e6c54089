"""Counting how often edits that sit beside the model apply to what it is asked."""

from __future__ import annotations

from collections.abc import Sequence

from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.inference.engine import Engine, Generation, GenerationRequest, Score, ScoreRequest


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
