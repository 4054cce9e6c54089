"""Names that measurements bear and that more than one part of the program asks for."""

from __future__ import annotations

UNEDITED = "none"
"""The editor of the unedited model's measurements."""

EDIT_QUALITY = "edit_quality"
"""The suite of what is asked about the edits themselves."""

SUCCESS_AT_EDIT = "success@edit"
"""The task of edit quality right after each edit."""

RETENTION_AT_N = "retention@n"
"""The task of edit quality at a checkpoint, over all edits made so far."""

ALARMS = "alarms"
"""The suite of the readings between checkpoints."""


def method_label(editor: str, variant: str) -> str:
    """The name of a method and its variant, as in tables and legends; the one place that joins them."""
    if editor == UNEDITED:
        return "unedited"
    return f"{editor} ({variant})" if variant else editor
