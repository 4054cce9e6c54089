"""Descriptions of suites and tasks for reports: titles, meanings, metrics and sections.

The suites themselves supply the descriptions, which are stored in a run's manifest, so that a report needs
neither their code nor their data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from sequela.results.metrics import MetricInfo, metric_info
from sequela.results.names import (
    ALARMS,
    EDIT_QUALITY,
    RETENTION_AT_N,
    RETENTION_OF_APPLIED,
    SUCCESS_AT_EDIT,
    SUCCESS_OF_APPLIED,
)
from sequela.results.section import Section

_VERSIONED = re.compile(r"^(?P<name>.*)@(?P<version>\d+)$")
"""A task name that ends with the version of its definition; `success@edit` has no version."""


class Quantity(Protocol):
    """Anything that identifies a quantity: a task result, a measurement, or a series in a report."""

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
        """The group of tasks to which it belongs."""
        ...

    @property
    def metric(self) -> str:
        """The metric."""
        ...


class TaskInfo(BaseModel):
    """The description of a task for reports.

    Args:
        title: The display name; empty if it equals the name in results.
        section: The section of the report.
        meaning: An explanation as a phrase, if the name needs one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    section: Section = Section.ABILITIES
    meaning: str = ""


class SuiteInfo(BaseModel):
    """The description of a suite for reports.

    Args:
        title: The display name; empty if it equals the name in results.
        section: The section of the report for tasks that have none of their own.
        tasks: The descriptions of tasks and groups, by name without version.
        metrics: The metrics that are missing from the catalog or described differently there, by name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    section: Section = Section.ABILITIES
    tasks: dict[str, TaskInfo] = Field(default_factory=dict)
    metrics: dict[str, MetricInfo] = Field(default_factory=dict)


def edit_quality_info(metrics: Iterable[MetricInfo] = ()) -> SuiteInfo:
    """Returns the description of the edit-quality suite.

    Args:
        metrics: The metrics of installed packages, which are missing from the catalog.
    """
    return SuiteInfo(
        section=Section.EDITS,
        tasks={
            SUCCESS_AT_EDIT: TaskInfo(
                section=Section.EDITS, meaning="measured right after an edit, for that edit only"
            ),
            RETENTION_AT_N: TaskInfo(
                section=Section.EDITS, meaning="measured at a checkpoint, for all edits so far"
            ),
            SUCCESS_OF_APPLIED: TaskInfo(
                section=Section.EDITS,
                meaning="measured right after an edit, for the edits that were applied and whose prompts fit",
            ),
            RETENTION_OF_APPLIED: TaskInfo(
                section=Section.EDITS,
                meaning="measured at a checkpoint, for the edits that were applied and whose prompts fit",
            ),
        },
        metrics={metric.name: metric for metric in metrics},
    )


STUDY_SUITES: Mapping[str, SuiteInfo] = MappingProxyType(
    {EDIT_QUALITY: edit_quality_info(), ALARMS: SuiteInfo(section=Section.HEALTH)}
)
"""The suites that studies always measure, for manifests that do not describe them."""


@dataclass(frozen=True)
class Suites:
    """The suites of a run.

    Args:
        infos: Their descriptions, by name. The tasks of an unknown suite count as abilities.
    """

    infos: Mapping[str, SuiteInfo] = field(default_factory=dict)

    def section_of(self, one: Quantity) -> Section:
        """Returns the section of a quantity: that of its metric, or else that of its task."""
        section = self.metric_of(one).section
        if section is not None:
            return section
        task = self._task_of(one)
        return self._info_of(one.suite).section if task is None else task.section

    def metric_of(self, one: Quantity) -> MetricInfo:
        """Returns the description of a quantity's metric."""
        return self.metric(one.suite, one.metric)

    def metric(self, suite: str, name: str) -> MetricInfo:
        """Returns the description of a suite's metric."""
        return metric_info(name, self._info_of(suite).metrics)

    def title_of(self, one: Quantity) -> str:
        """Returns the display name of a task, followed by its version: `MMLU anatomy (v1)`."""
        name, version = _split(one.task)
        task = self._task_of(one)
        if task is not None and task.title:
            group = one.group or name
            name = task.title + (name.removeprefix(group) if name.startswith(group) else f" {name}")
        return name.replace("_", " ") + (f" (v{version})" if version else "")

    def suite_title(self, suite: str) -> str:
        """Returns the display name of a suite."""
        return self._info_of(suite).title or suite.replace("_", " ")

    def meanings(self, results: Iterable[Quantity]) -> list[tuple[str, str]]:
        """Returns the titles and meanings of those tasks among the results that need an explanation."""
        measured = {(one.suite, one.group or _split(one.task)[0]) for one in results}
        return [
            (task.title or name, task.meaning)
            for suite in sorted({suite for suite, _ in measured})
            for name, task in self._info_of(suite).tasks.items()
            if task.meaning and (suite, name) in measured
        ]

    def _task_of(self, one: Quantity) -> TaskInfo | None:
        return self._info_of(one.suite).tasks.get(one.group or _split(one.task)[0])

    def _info_of(self, suite: str) -> SuiteInfo:
        return self.infos.get(suite) or STUDY_SUITES.get(suite) or SuiteInfo()


def _split(task: str) -> tuple[str, str]:
    """Returns a task's name without its version, and the version."""
    match = _VERSIONED.match(task)
    return (task, "") if match is None else (match["name"], match["version"])
