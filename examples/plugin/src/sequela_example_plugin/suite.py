"""A suite that measures the length of the generated text."""

from __future__ import annotations

from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.inference import Engine, generation_request
from sequela.results import ItemRecord, Section, SuiteInfo, TaskResult, result_from_items

PROMPTS = ("Once upon a time", "The weather today is")


class AnswerLength:
    """Measures the number of characters that the model generates, for `limit` prompts or all."""

    name, version = "answer-length", "1"
    info = SuiteInfo(title="Answer length", section=Section.HEALTH)

    def __init__(self, limit: int | None = None) -> None:
        self.prompts = PROMPTS[:limit]

    def evaluate(self, model: EditedModel, engine: Engine, progress: Progress = SILENT) -> list[TaskResult]:
        """Runs the suite."""
        requests = [generation_request(model, prompt, 8) for prompt in self.prompts]
        answers = engine.generate(model, requests, progress)
        records = [
            ItemRecord(
                suite=self.name,
                task="two_prompts",
                metric="characters",
                protocol="generation",
                item=prompt,
                value=float(len(answer.text)),
                finite=answer.finite,
                prompt=prompt,
                answer=answer.text,
            )
            for prompt, answer in zip(self.prompts, answers, strict=True)
        ]
        return [result_from_items(records)]
