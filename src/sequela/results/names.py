"""Names that measurements bear and that more than one part of the program asks for."""

from __future__ import annotations

UNEDITED = "none"
"""The editor of the unedited model's measurements."""

EDIT_QUALITY = "edit_quality"
"""The suite of what is asked about the edits themselves."""

ALARMS = "alarms"
"""The suite of the readings between checkpoints."""

HIT_RATE = "hit_rate"
"""The metric of how often edits beside the model applied to a suite's requests."""

EFFECTIVE_EDITS = "effective_edits"
"""The metric that counts the edits which are still expressed."""


def method_label(editor: str, variant: str) -> str:
    """The name of a method and its variant, as in tables and legends; the one place that joins them."""
    if editor == UNEDITED:
        return "unedited"
    return f"{editor} ({variant})" if variant else editor
