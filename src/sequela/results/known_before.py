"""The column of edit quality that states what the unedited model answered."""

from __future__ import annotations

from enum import Enum

from sequela.results.item_record import ItemRecord

KNOWN_BEFORE = "known_before"
"""The name of the column in the details of a record."""


class KnownBefore(str, Enum):
    """The answer of the unedited model to an edit's own prompt, by free decoding."""

    NEW = "new"
    OLD = "old"
    OTHER = "other"
    NOTHING = "nothing"


def known_before_of(record: ItemRecord) -> KnownBefore | None:
    """Returns the unedited model's answer to the edit of a record; None in runs of earlier versions."""
    value = record.details.get(KNOWN_BEFORE)
    return None if value is None else KnownBefore(value)
