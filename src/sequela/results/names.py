"""Stored names that several parts of the program refer to."""

from __future__ import annotations

UNEDITED = "none"
"""The editor name in measurements of the unedited model."""

EDIT_QUALITY = "edit_quality"
"""The suite that measures the edits themselves."""

SUCCESS_AT_EDIT = "success@edit"
"""The task of edit quality right after each edit."""

RETENTION_AT_N = "retention@n"
"""The task of edit quality at a checkpoint, over all edits so far."""

SUCCESS_OF_APPLIED = "success@edit (applied)"
"""The same as `success@edit` over the edits that were applied and asked, if these are not all."""

RETENTION_OF_APPLIED = "retention@n (applied)"
"""The same as `retention@n` over the edits that were applied and asked, if these are not all."""

ALARMS = "alarms"
"""The suite of health metrics measured between checkpoints."""


def method_label(editor: str, variant: str) -> str:
    """Returns the label of a method and its variant for tables and legends."""
    if editor == UNEDITED:
        return "unedited"
    return f"{editor} ({variant})" if variant else editor


def order_label(edit_sample: int | None, order_seed: int) -> str:
    """Returns the words for a sample of edits and their order; a study may have no samples."""
    order = f"shuffle seed {order_seed}"
    return order if edit_sample is None else f"sample {edit_sample}, {order}"
