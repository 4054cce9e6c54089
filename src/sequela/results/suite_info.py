"""Suites and their tasks as reports show them: titles, meanings, metrics, and the part of a report.

A run's manifest has it from the suites themselves, so that a report needs neither their code nor their data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from sequela.results.metrics import MetricInfo, metric_info
from sequela.results.names import ALARMS, EDIT_QUALITY, RETENTION_AT_N, SUCCESS_AT_EDIT
from sequela.results.section import Section

_VERSIONED = re.compile(r"^(?P<name>.*)@(?P<version>\d+)$")
"""A task's name with the version of its definition behind it; `success@edit` has none."""


class Quantity(Protocol):
    """What says of a number what it is: a task result, a measurement, or a panel of a report."""

    @property
    def suite(self) -> str:
        """The suite."""
        ...

    @property
    def task(self) -> str:
        """The task."""
        ...

    @property
    def group(self) -> str:
        """The entry of the suite's tasks that it belongs to."""
        ...

    @property
    def metric(self) -> str:
        """The metric."""
        ...


class TaskInfo(BaseModel):
    """One task of a suite.

    Args:
        title: The name as people write it; empty if it is the one in results.
        section: The part of a report it belongs to.
        meaning: What it is, as a phrase, where its name needs words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    section: Section = Section.ABILITIES
    meaning: str = ""


class SuiteInfo(BaseModel):
    """A suite as reports show it.

    Args:
        title: The name as people write it; empty if it is the one in results.
        section: The part of a report that its tasks belong to.
        tasks: The tasks, or groups of tasks, of which there is more to say, by their names without version.
        metrics: The metrics that are not in the catalog, or are there in other words, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    section: Section = Section.ABILITIES
    tasks: dict[str, TaskInfo] = Field(default_factory=dict)
    metrics: dict[str, MetricInfo] = Field(default_factory=dict)


def edit_quality_info(metrics: Iterable[MetricInfo] = ()) -> SuiteInfo:
    """Returns what reports say of edit quality.

    Args:
        metrics: Metrics of installed packages, which the catalog doesn't have.
    """
    return SuiteInfo(
        section=Section.EDITS,
        tasks={
            SUCCESS_AT_EDIT: TaskInfo(
                section=Section.EDITS, meaning="asked right after an edit was made, about that edit only"
            ),
            RETENTION_AT_N: TaskInfo(
                section=Section.EDITS, meaning="asked at a checkpoint, about every edit made so far"
            ),
        },
        metrics={metric.name: metric for metric in metrics},
    )


STUDY_SUITES: Mapping[str, SuiteInfo] = MappingProxyType(
    {EDIT_QUALITY: edit_quality_info(), ALARMS: SuiteInfo(section=Section.HEALTH)}
)
"""What studies measure by themselves, where a run's manifest says no more of it."""


@dataclass(frozen=True)
class Suites:
    """The suites of a run.

    Args:
        infos: What is known of them, by name; of an unknown one every task is an ability.
    """

    infos: Mapping[str, SuiteInfo] = field(default_factory=dict)

    def section_of(self, one: Quantity) -> Section:
        """Returns the part of a report that a number falls into: its metric's own, else its task's."""
        section = self.metric_of(one).section
        if section is not None:
            return section
        task = self._task_of(one)
        return self._info_of(one.suite).section if task is None else task.section

    def metric_of(self, one: Quantity) -> MetricInfo:
        """Returns what is known of a number's metric."""
        return self.metric(one.suite, one.metric)

    def metric(self, suite: str, name: str) -> MetricInfo:
        """Returns what is known of a metric of a suite."""
        return metric_info(name, self._info_of(suite).metrics)

    def title_of(self, one: Quantity) -> str:
        """Returns a task's name as people write it, its version behind: `MMLU anatomy (v1)`."""
        name, version = _split(one.task)
        task = self._task_of(one)
        if task is not None and task.title:
            group = one.group or name
            name = task.title + (name.removeprefix(group) if name.startswith(group) else f" {name}")
        return name.replace("_", " ") + (f" (v{version})" if version else "")

    def suite_title(self, suite: str) -> str:
        """Returns a suite's name as people write it."""
        return self._info_of(suite).title or suite.replace("_", " ")

    def meanings(self, results: Iterable[Quantity]) -> list[tuple[str, str]]:
        """Returns title and meaning of the tasks among results whose names need words."""
        found = {(one.suite, one.group or _split(one.task)[0]) for one in results}
        return [
            (task.title or name, task.meaning)
            for suite in sorted({suite for suite, _ in found})
            for name, task in self._info_of(suite).tasks.items()
            if task.meaning and (suite, name) in found
        ]

    def _task_of(self, one: Quantity) -> TaskInfo | None:
        return self._info_of(one.suite).tasks.get(one.group or _split(one.task)[0])

    def _info_of(self, suite: str) -> SuiteInfo:
        return self.infos.get(suite) or STUDY_SUITES.get(suite) or SuiteInfo()


def _split(task: str) -> tuple[str, str]:
    """Returns a task's name without its version, and the version."""
    found = _VERSIONED.match(task)
    return (task, "") if found is None else (found["name"], found["version"])
