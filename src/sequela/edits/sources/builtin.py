"""Facts that come with Sequela, for use with no network: written for it, with probes."""

from __future__ import annotations

from pathlib import Path

from sequela.edits.edit import Edit
from sequela.edits.sources.records import Record
from sequela.edits.sources.source import Source


def parse_builtin(record: Record, source: str) -> Edit:
    """Makes an edit of a line."""
    return Edit.model_validate({**record.content, "source": source})


BUILTIN_SOURCE = Source(
    name="builtin",
    about="Everyday facts with paraphrases and neighbors, made for Sequela",
    license="Apache-2.0",
    parse=parse_builtin,
    package_file=Path(__file__).parent.parent / "data" / "builtin.jsonl",
)
