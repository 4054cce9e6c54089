"""The parts of a report."""

from __future__ import annotations

from enum import Enum


class Section(str, Enum):
    """The parts that measurements fall into; the value is the heading."""

    EDITS = "Edits"
    ABILITIES = "Abilities"
    SAFETY = "Safety"
    HEALTH = "Health"
