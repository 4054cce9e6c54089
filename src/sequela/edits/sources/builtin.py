"""The facts that come with Sequela, with probes; they were written for it and need no network."""

from __future__ import annotations

from pathlib import Path

from sequela.edits.edit import Edit
from sequela.edits.sources.records import Record
from sequela.edits.sources.source import Source


def parse_builtin(record: Record, source: str) -> Edit:
    """Converts a line to an edit."""
    return Edit.model_validate({**record.content, "source": source})


BUILTIN_SOURCE = Source(
    name="builtin",
    about="Everyday facts with paraphrases and neighbors, written for Sequela",
    license="Apache-2.0",
    parse=parse_builtin,
    package_file=Path(__file__).parent.parent / "data" / "builtin.jsonl",
)
