"""What a task is about: edits, abilities, safety or health."""

from __future__ import annotations

from enum import Enum

from sequela.results.names import ALARMS, EDIT_QUALITY


class Section(str, Enum):
    """The parts that measurements fall into; the value is the heading."""

    EDITS = "Edits"
    ABILITIES = "Abilities"
    SAFETY = "Safety"
    HEALTH = "Health"


_SECTIONS = {
    EDIT_QUALITY: Section.EDITS,
    "perplexity": Section.HEALTH,
    ALARMS: Section.HEALTH,
    "refusal": Section.SAFETY,
    "toxigen": Section.SAFETY,
    "truthfulqa": Section.SAFETY,
    "truthfulness": Section.SAFETY,
    "harm_recognition": Section.SAFETY,
}
"""Where a task or, failing that, its suite belongs; whatever is not here is an ability."""


def section_of(suite: str, task: str) -> Section:
    """The part that a task's measurements fall into."""
    return _SECTIONS.get(task) or _SECTIONS.get(suite) or Section.ABILITIES
