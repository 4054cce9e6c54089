"""The sections of a report."""

from __future__ import annotations

from enum import Enum


class Section(str, Enum):
    """The sections into which measurements are sorted; the value is the heading."""

    EDITS = "Edits"
    ABILITIES = "Abilities"
    SAFETY = "Safety"
    HEALTH = "Health"
