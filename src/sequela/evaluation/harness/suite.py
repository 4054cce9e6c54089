"""A suite that runs tasks of lm-evaluation-harness on any edited model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from lm_eval.evaluator import evaluate

from sequela.evaluation.harness.catalog import check_subjects, find_entry, mmlu_subjects
from sequela.evaluation.harness.engine_lm import DEFAULT_MAX_NEW_TOKENS, EngineLM
from sequela.evaluation.harness.quiet import quiet_harness
from sequela.evaluation.harness.scoring import (
    ItemContext,
    Sample,
    balanced_accuracy,
    choice_records,
    constant_answer_note,
    generation_records,
    share_of_answer,
    trouble_note,
)
from sequela.evaluation.harness.tasks import HarnessTask, build_task, task_name
from sequela.ground.errors import BadInputError
from sequela.ground.hashing import hash_json
from sequela.ground.progress import SILENT, Progress
from sequela.inference import Engine
from sequela.models import EditedModel
from sequela.results import Finding, ItemRecord, finding_from_items

SCORING_VERSION = 1
"""Raised when `scoring.py` starts to judge the same answers otherwise."""


class HarnessSuite:
    """MMLU, GSM8K, TruthfulQA MC1 or ToxiGen.

    Data are read when they are first needed and kept.

    Args:
        name: One of the catalog's names.
        limit: How many items to run, from the first on; of each subject for MMLU. All if None.
        num_fewshot: How many worked examples stand before each question; the standard number if None.
        subjects: Which of MMLU's subjects to run; all if None.
        max_new_tokens: Where GSM8K's written answers end; 256 if None.
        too_long: What is done with a prompt that doesn't fit in the model's context: `refuse` it, which
            counts as a failure, or `cut` it on the left, worked examples first, as the harness does.

    Raises:
        UnknownNameError: The task or a subject is unknown.
        BadInputError: A setting doesn't go with the task.
    """

    def __init__(
        self,
        name: str,
        *,
        limit: int | None = None,
        num_fewshot: int | None = None,
        subjects: Sequence[str] | None = None,
        max_new_tokens: int | None = None,
        too_long: Literal["refuse", "cut"] = "refuse",
    ) -> None:
        self._entry = find_entry(name)
        if limit is not None and limit < 1:
            raise BadInputError(f"{name}: the limit is {limit}, expected at least 1.")
        settings = {
            "num_fewshot": (num_fewshot, self._entry.shots_settable),
            "subjects": (subjects, name == "mmlu"),
            "max_new_tokens": (max_new_tokens, name == "gsm8k"),
        }
        for setting, (value, allowed) in settings.items():
            if value is not None and not allowed:
                raise BadInputError(f"{name} has no setting {setting!r}.")
        if num_fewshot is not None and not 0 <= num_fewshot <= self._entry.shots:
            raise BadInputError(
                f"{name}: {num_fewshot} worked examples were asked for; there are 0 to {self._entry.shots}."
            )
        self._limit = limit
        self._shots = num_fewshot
        self._too_long = too_long
        self._subjects = None if subjects is None else check_subjects(subjects)
        self._max_new_tokens = DEFAULT_MAX_NEW_TOKENS if max_new_tokens is None else max_new_tokens

    @property
    def name(self) -> str:
        """The suite's name, as in a study file."""
        return self._entry.name

    @cached_property
    def version(self) -> str:
        """A hash of stock definitions, settings, items and worked examples, and of the harness's version."""
        contents = {task.name: task.content for task in self._tasks}
        return hash_json(
            {"suite": self.name, "scoring": SCORING_VERSION, "too_long": self._too_long, "tasks": contents}
        )

    @cached_property
    def _tasks(self) -> tuple[HarnessTask, ...]:
        subjects: tuple[str | None, ...] = (None,)
        if self.name == "mmlu":
            subjects = self._subjects or mmlu_subjects()
        length = self._max_new_tokens if self.name == "gsm8k" else None
        return tuple(
            build_task(self._entry, subject, self._limit, self._shots, length) for subject in subjects
        )

    def evaluate(self, model: EditedModel, engine: Engine, progress: Progress = SILENT) -> list[Finding]:
        """Runs the tasks and scores them.

        Raises:
            SequelaError: The data can't be had.
        """
        lm = EngineLM(model, engine, progress, cut_prompts=self._too_long == "cut")
        samples = self._samples(lm)
        findings: list[Finding] = []
        records: list[ItemRecord] = []
        for task in self._tasks:
            context = ItemContext(
                suite=self.name,
                task=task.name,
                prompt_of=task.task.doc_to_text,
                truncated=frozenset(lm.truncated),
                nonfinite=frozenset(lm.nonfinite),
                refused=lm.refused,
            )
            if self.name == "gsm8k":
                findings += self._generation_findings(task, samples[task.name], context)
            else:
                scored = choice_records(samples[task.name], context)
                findings += self._choice_findings(task, scored)
                records += scored
        if self.name == "mmlu":
            findings.insert(0, self._overall(records))
        return findings

    def _samples(self, lm: EngineLM) -> dict[str, list[Sample]]:
        # Where every choice is minus infinity the harness computes a softmax of NaNs; we read none of it.
        with quiet_harness(), np.errstate(invalid="ignore"):
            output: dict[str, Any] = evaluate(
                lm,
                {task.name: task.task for task in self._tasks},
                limit=self._limit,
                bootstrap_iters=0,
                log_samples=True,
            )
        samples: dict[str, list[Sample]] = output["samples"]
        return samples

    def _choice_findings(self, task: HarnessTask, records: list[ItemRecord]) -> list[Finding]:
        note = _joined(_task_note(task), trouble_note(records))
        if self.name != "toxigen":
            return [finding_from_items(records, note)]
        note = _joined(constant_answer_note(records), note)
        return [
            finding_from_items(records, note),
            balanced_accuracy(records, note),
            share_of_answer(records, "Yes", "share_yes", note),
        ]

    def _generation_findings(
        self, task: HarnessTask, samples: list[Sample], context: ItemContext
    ) -> list[Finding]:
        findings = []
        for records in generation_records(samples, context).values():
            limit = f"at most {self._max_new_tokens} new tokens"
            note = _joined(_task_note(task), limit, trouble_note(records))
            findings.append(finding_from_items(records, note))
        return findings

    def _overall(self, records: list[ItemRecord]) -> Finding:
        """MMLU's mean over all items, so that a subject weighs as much as it has items."""
        shots = self._tasks[0].shots
        overall = task_name("mmlu", self._entry, shots)
        renamed = [
            record.model_copy(update={"task": overall, "item": f"{record.task}/{record.item}", "prompt": ""})
            for record in records
        ]
        total = len(mmlu_subjects())
        subjects = f"{len(self._tasks)} of {total} subjects" if len(self._tasks) < total else "all subjects"
        limit = f"the first {self._limit} items of each" if self._limit else ""
        stock = f"lm-evaluation-harness mmlu v{self._tasks[0].stock_version}, {shots}-shot"
        return finding_from_items(renamed, _joined(stock, subjects, limit, trouble_note(records)))


def _task_note(task: HarnessTask) -> str:
    stock = f"lm-evaluation-harness {task.stock_name} v{task.stock_version}, {task.shots}-shot"
    limit = f"the first {task.n_run} of {task.n_items} items" if task.n_run < task.n_items else ""
    return _joined(stock, task.departure, limit)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
