"""The interface of suites."""

from __future__ import annotations

from typing import Protocol

from sequela.core.progress import SILENT, Progress
from sequela.edited import EditedModel
from sequela.inference import Engine
from sequela.results import SuiteInfo, TaskResult


class Suite(Protocol):
    """A group of tasks that can be run on any edited model."""

    @property
    def name(self) -> str:
        """The suite's name, as in a study file."""
        ...

    @property
    def version(self) -> str:
        """A hash of the items, prompts and scoring, so that results of different versions never mix."""
        ...

    @property
    def info(self) -> SuiteInfo:
        """The titles, sections and metrics of the suite and its tasks, as reports show them."""
        ...

    def evaluate(self, model: EditedModel, engine: Engine, progress: Progress = SILENT) -> list[TaskResult]:
        """Runs all tasks of the suite."""
        ...
