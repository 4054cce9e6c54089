"""A suite that runs a benchmark on any edited model, through lm-evaluation-harness."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from lm_eval.evaluator import evaluate

from sequela.core.errors import TooFewItemsError
from sequela.core.hashing import hash_json
from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.evaluation.lm_eval.adapter import EngineLM
from sequela.evaluation.lm_eval.aggregate import SCORING_VERSION, benchmark_results, group_note
from sequela.evaluation.lm_eval.answer_extraction import EXTRACTION_VERSION
from sequela.evaluation.lm_eval.catalog import subtasks_of
from sequela.evaluation.lm_eval.choice_scoring import choice_records
from sequela.evaluation.lm_eval.generation_scoring import generation_records
from sequela.evaluation.lm_eval.item_records import ItemContext, Sample
from sequela.evaluation.lm_eval.quiet import quiet_harness
from sequela.evaluation.lm_eval.repeatable import harness_seeds, start_sampler
from sequela.evaluation.lm_eval.settings import check_settings
from sequela.evaluation.lm_eval.task_builder import HarnessTask, build_task, task_name
from sequela.evaluation.lm_eval.task_file import suite_info
from sequela.evaluation.lm_eval.templates import prompts_of, sandboxed_templates
from sequela.inference import Engine
from sequela.inference.generation_state import STOPPING_VERSION
from sequela.results import ItemRecord, SuiteInfo, TaskResult
from sequela.results.metrics import TRUE_PROBABILITY

ITEM_TOKENS = 100
"""The approximate number of tokens per item; most items are a short text with a few answers."""


class HarnessSuite:
    """One benchmark, under one or several protocols.

    Data are read when they are first needed, and cached.

    Args:
        name: The name of a benchmark, or the path of a task file of the user's own.
        options: The settings; see `check_settings`.

    Raises:
        UnknownNameError: The benchmark, a subject or a protocol is unknown.
        BadInputError: A setting is invalid for the benchmark.
    """

    def __init__(self, name: str, **options: Any) -> None:
        self.settings = check_settings(name, **options)

    @property
    def name(self) -> str:
        """The name of the benchmark."""
        return self.settings.name

    @property
    def info(self) -> SuiteInfo:
        """The titles, sections and metrics for reports, from its task files."""
        return suite_info(self.settings.files)

    @cached_property
    def version(self) -> str:
        """A hash of definitions, settings, items, few-shot examples, rules and the harness's version."""
        generates = any(file.protocol == "generation" for file in self.settings.files)
        return hash_json(
            {
                **({"stopping": STOPPING_VERSION} if generates else {}),
                "suite": self.name,
                "scoring": SCORING_VERSION,
                "extraction": EXTRACTION_VERSION,
                "too_long": self.settings.too_long,
                "tasks": {task.key: task.content for task in self.tasks},
            }
        )

    @cached_property
    def tasks(self) -> tuple[HarnessTask, ...]:
        """The tasks with their data.

        Raises:
            BadInputError: The limit is above the number of items of every task.
            SequelaError: The data can't be loaded.
            SequelaError: The data can't be loaded.
        """
        settings = self.settings
        built = tuple(
            build_task(
                file, subtask, settings.limit, settings.num_fewshot, settings.length_of(file), settings.folder
            )
            for file in settings.files
            for subtask in settings.subtasks_of(file)
        )
        most = max(task.n_items for task in built)
        if settings.limit is not None and settings.limit > most:
            raise TooFewItemsError(self.name, settings.limit, f"there are {most} items")
        return built

    @property
    def n_tokens(self) -> int:
        """The approximate number of tokens the model reads."""
        return ITEM_TOKENS * sum(task.n_items for task in self.tasks)

    def evaluate(self, model: EditedModel, engine: Engine, progress: Progress = SILENT) -> list[TaskResult]:
        """Runs the tasks and scores them.

        Raises:
            SequelaError: The data can't be loaded.
        """
        lm = EngineLM(model, engine, progress, cut_prompts=self.settings.too_long == "cut")
        for task in self.tasks:
            start_sampler(task.task)
        with sandboxed_templates(), prompts_of(self.name), harness_seeds():
            return self._task_results(lm)

    def _task_results(self, lm: EngineLM) -> list[TaskResult]:
        samples = self._samples(lm)
        found: list[TaskResult] = []
        for file in self.settings.files:
            tasks = [task for task in self.tasks if task.file is file]
            records = {task.name: _records(self.name, task, samples[task.key], lm) for task in tasks}
            notes = {task.name: task.note for task in tasks}
            subtasks = {task.name: task.subtask for task in tasks}
            group = ""
            if file.has_subtasks:
                group = task_name(file, "", tasks[0].shots)
                notes[group] = group_note(
                    len(tasks), len(subtasks_of(file)), self.settings.limit, tasks[0].shots
                )
            found += benchmark_results(file, records, subtasks, notes, group)
        return found

    def _samples(self, lm: EngineLM) -> dict[str, list[Sample]]:
        # If every choice is minus infinity, the harness computes a softmax of NaNs, which is not used here.
        with quiet_harness(), np.errstate(invalid="ignore"):
            output: dict[str, Any] = evaluate(
                lm,
                {task.key: task.task for task in self.tasks},
                limit=self.settings.limit,
                bootstrap_iters=0,
                log_samples=True,
            )
        samples: dict[str, list[Sample]] = output["samples"]
        return samples


def _records(suite: str, task: HarnessTask, samples: list[Sample], lm: EngineLM) -> list[ItemRecord]:
    context = ItemContext(
        suite=suite,
        task=task.name,
        protocol=task.file.protocol,
        prompt_of=task.task.doc_to_text,
        truncated=frozenset(lm.truncated),
        nonfinite=frozenset(lm.nonfinite),
        too_long=lm.too_long,
        failed=lm.failed,
        thinking=lm.thinking,
        unfinished_thinking=lm.unfinished_thinking,
    )
    if task.file.protocol == "generation":
        return generation_records(samples, context, task.file.readings, task.targets_of, task.choices_of)
    records = choice_records(samples, context)
    if TRUE_PROBABILITY.name not in task.file.reported_metrics:
        return records
    labels = [sample["doc"][task.file.targets]["labels"] for sample in samples]
    return [
        record.model_copy(update={"details": {**record.details, "labels": one}})
        for record, one in zip(records, labels, strict=True)
    ]
