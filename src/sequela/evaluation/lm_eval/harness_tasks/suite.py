"""A suite that runs a task of the installed lm-evaluation-harness, unchanged, on any edited model."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from functools import cached_property
from importlib.metadata import version as installed_version
from itertools import islice
from typing import Any

import numpy as np

from sequela.core.errors import TooFewItemsError
from sequela.core.hashing import hash_json
from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.evaluation.lm_eval.adapter import EngineLM
from sequela.evaluation.lm_eval.harness_tasks.loading import LoadedTasks, load_tasks
from sequela.evaluation.lm_eval.harness_tasks.running import run_tasks
from sequela.evaluation.lm_eval.harness_tasks.scoring import SCORING_VERSION, TaskScores, group_results
from sequela.evaluation.lm_eval.harness_tasks.settings import check_harness_task
from sequela.evaluation.lm_eval.item_records import joined
from sequela.evaluation.lm_eval.quiet import quiet_harness
from sequela.evaluation.lm_eval.repeatable import harness_seeds
from sequela.evaluation.lm_eval.templates import prompts_of, sandboxed_templates
from sequela.inference import Engine
from sequela.inference.generation_state import STOPPING_VERSION
from sequela.results import SuiteInfo, TaskResult

_CHOOSING = ("multiple_choice", "loglikelihood", "loglikelihood_rolling")
"""The output types without generated answers."""

_NOT_CONTENT = ("config_source", "split")
"""Keys of a definition that are left out of its hash: its file on this machine, and a split's name."""


class HarnessTaskSuite:
    """One task or group of the harness with the harness's metrics.

    Unlike Sequela's own benchmarks it has no version of its own: its prompts and scores depend on the
    installed harness, whose version is part of the task names. Data are read when they are first needed.

    Args:
        name: The suite's name.
        options: The settings; see `check_harness_task`.

    Raises:
        UnknownNameError: The installed harness has no such task.
        BadInputError: A file is missing, or the task needs to run code that is not trusted.
    """

    def __init__(self, name: str = "lm_eval", **options: Any) -> None:
        self.settings = check_harness_task(name, **options)
        self._kind = name

    @property
    def name(self) -> str:
        """The name of the suite with the task, so that a study can have several."""
        return f"{self._kind}:{self.settings.task}"

    @property
    def info(self) -> SuiteInfo:
        """The title in reports."""
        return SuiteInfo(title=f"{self.settings.task}, a task of lm-evaluation-harness")

    @cached_property
    def loaded(self) -> LoadedTasks:
        """The tasks with their data.

        Raises:
            BadInputError: The data don't fit the task, or the limit is above the size of every task.
            SequelaError: The data can't be loaded.
        """
        loaded = load_tasks(self.settings)
        most = max(len(rows) for rows in loaded.items.values())
        limit = self.settings.limit
        if limit is not None and limit > most:
            raise TooFewItemsError(self.settings.task, limit, f"there are {most} items")
        return loaded

    @cached_property
    def version(self) -> str:
        """A hash of the harness's version, definitions, settings, items and few-shot examples.

        Raises:
            SequelaError: The data can't be loaded.
        """
        loaded = self.loaded
        return hash_json(
            {
                "suite": self.name,
                "scoring": SCORING_VERSION,
                "harness": _harness(),
                "too_long": self.settings.too_long,
                "tasks": {name: self._content(name) for name in loaded.tasks},
                "groups": {name: _plain(group.to_dict()) for name, group in loaded.groups.items()},
            }
        )

    def evaluate(self, model: EditedModel, engine: Engine, progress: Progress = SILENT) -> list[TaskResult]:
        """Runs the tasks and scores them: groups first, then each task.

        Raises:
            SequelaError: The data can't be loaded.
        """
        loaded = self.loaded
        lm = EngineLM(model, engine, progress, cut_prompts=self.settings.too_long == "cut")
        # If every choice is minus infinity, the harness computes a softmax of NaNs; the item counts as wrong.
        quiet = np.errstate(invalid="ignore", divide="ignore")
        with quiet_harness(), sandboxed_templates(), prompts_of(self.name), harness_seeds(), quiet:
            outcomes = run_tasks(loaded.tasks, lm, self.settings.limit)
            truncated = frozenset(lm.truncated)
            scores = {
                name: TaskScores(
                    self.name, self._label(name), task, outcomes[name], self._note(name), truncated
                )
                for name, task in loaded.tasks.items()
            }
            groups = [
                result
                for name, group in loaded.groups.items()
                for result in group_results(
                    self.name, _label(name, group.version), group, scores, self._limit_note()
                )
            ]
        group_of = {
            task.task_name: name for name, group in loaded.groups.items() for task in group.get_all_tasks()
        }
        return [
            *groups,
            *(
                _in_group(one, name, group_of)
                for name, task in scores.items()
                for one in (*task.results, *task.answered)
            ),
        ]

    def _label(self, name: str) -> str:
        shots, default = self.loaded.shots(name), self.loaded.default_shots[name]
        return _label(name, self.loaded.tasks[name].VERSION, "" if shots == default else f"{shots}-shot")

    def _note(self, name: str) -> str:
        local = "local data" if name in self.settings.local else ""
        return joined(f"{self.loaded.shots(name)}-shot", local, self._limit_note())

    def _limit_note(self) -> str:
        return (
            "" if self.settings.limit is None else f"at most the first {self.settings.limit} items of a task"
        )

    def _content(self, name: str) -> str:
        task = self.loaded.tasks[name]
        definition = _plain(task.dump_config())
        return hash_json(
            {
                "definition": {key: value for key, value in definition.items() if not key.endswith("_split")},
                "version": str(task.VERSION),
                "items": _plain(list(islice(self.loaded.items[name], self.settings.limit))),
                "examples": _plain(self.loaded.examples[name]),
                **({"asked item": "left out"} if name in self.loaded.leaving_out else {}),
                **({} if task.OUTPUT_TYPE in _CHOOSING else {"stopping": STOPPING_VERSION}),
            }
        )


def _harness() -> str:
    return installed_version("lm-eval")


def _label(name: str, version: Any, *more: str) -> str:
    """Returns a task's name in results, which differs in form from a benchmark's `name@version`."""
    known = "" if version in (None, "N/A", "Yaml") else f"v{version}"
    return f"{name} ({', '.join(part for part in (f'harness {_harness()}', known, *more) if part)})"


def _plain(value: Any) -> Any:
    """Converts a value to JSON types, without file paths and split names; functions by their source."""
    if callable(value):
        return (
            f"{value.__module__}.{value.__qualname__}"
            if inspect.isbuiltin(value)
            else inspect.getsource(value)
        )
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items() if key not in _NOT_CONTENT}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return json.loads(json.dumps(value, default=str))


def _in_group(result: TaskResult, task: str, group_of: Mapping[str, str]) -> TaskResult:
    """Returns a task's result, as that of a subtask if the task belongs to a group that was run."""
    if task not in group_of:
        return result
    return result.model_copy(update={"group": group_of[task], "subtask": task})
