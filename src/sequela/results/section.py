"""Suites and their tasks as reports show them: their titles, and the part of a report they belong to.

A run's manifest has it from the suites themselves, so that a report needs neither their code nor their data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from pydantic import BaseModel, ConfigDict, Field

from sequela.results.names import ALARMS, EDIT_QUALITY


class Section(str, Enum):
    """The parts that measurements fall into; the value is the heading."""

    EDITS = "Edits"
    ABILITIES = "Abilities"
    SAFETY = "Safety"
    HEALTH = "Health"


class TaskInfo(BaseModel):
    """One task of a suite.

    Args:
        title: The name as people write it; empty if it is the one in results.
        section: The part of a report it belongs to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    section: Section = Section.ABILITIES


class SuiteInfo(BaseModel):
    """A suite as reports show it.

    Args:
        title: The name as people write it; empty if it is the one in results.
        section: The part of a report that its tasks belong to.
        tasks: The tasks of which there is more to say, by their names without version; parts of a task, such
            as the subjects of `mmlu`, follow the task.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    section: Section = Section.ABILITIES
    tasks: dict[str, TaskInfo] = Field(default_factory=dict)


@dataclass(frozen=True)
class Suites:
    """The suites of a run.

    Args:
        infos: What is known of them, by name; of an unknown one every task is an ability.
    """

    infos: Mapping[str, SuiteInfo] = field(default_factory=dict)

    def section_of(self, suite: str, task: str) -> Section:
        """The part that a task's measurements fall into."""
        if suite in _OF_STUDIES:
            return _OF_STUDIES[suite]
        info = self.infos.get(suite)
        if info is None:
            return Section.ABILITIES
        name = _task_of(task, info.tasks)
        return info.section if name is None else info.tasks[name].section

    def words(self, name: str) -> str:
        """The name of a task or suite as people write it, its version behind: `MMLU anatomy (v1)`."""
        base, _, version = name.partition("@")
        found = _task_of(base, self._titles)
        if found is not None:
            base = self._titles[found] + base[len(found) :]
        return base.replace("_", " ") + (f" (v{version})" if version else "")

    @property
    def _titles(self) -> dict[str, str]:
        titles = {name: info.title for name, info in self.infos.items() if info.title}
        for info in self.infos.values():
            titles |= {name: task.title for name, task in info.tasks.items() if task.title}
        return titles


def _task_of(name: str, known: Mapping[str, object]) -> str | None:
    """The longest known name that is a task's or that of what it is a part of."""
    base = name.partition("@")[0]
    found = [one for one in known if base == one or base.startswith(f"{one}_")]
    return max(found, key=len, default=None)


_OF_STUDIES = {EDIT_QUALITY: Section.EDITS, ALARMS: Section.HEALTH}
"""The sections of what studies measure by themselves."""
