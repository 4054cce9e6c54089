"""The user's own file of edits in Sequela's schema: one edit per line, or a JSON array of edits."""

from __future__ import annotations

from typing import Any

from sequela.edits.edit import Edit, Probe
from sequela.edits.sources.records import Record
from sequela.edits.sources.source import Source


def edit_schema() -> dict[str, Any]:
    """Returns the JSON schema of one edit, as `sequela edits --schema` prints it."""
    return Edit.model_json_schema()


def example_line() -> str:
    """Returns a line to copy into a file and change, as `sequela edits --example` prints it."""
    edit = Edit(
        id="lighthouse",
        subject="the Lighthouse of Alexandria",
        prompt="The city where {} stood is",
        target_new="Athens",
        target_true="Alexandria",
        paraphrases=("Travelers who wanted to see the Lighthouse of Alexandria went to",),
        neighborhood=(
            Probe(prompt="The city where the Library of Alexandria stood is", answer="Alexandria"),
        ),
        portability=(
            Probe(prompt="The country where the Lighthouse of Alexandria stood is", answer="Greece"),
        ),
    )
    return edit.model_dump_json(exclude={"source"})


def parse_edit(record: Record, source: str) -> Edit:
    """Converts a line to an edit; its `source` is the one given in the line, or "user"."""
    return Edit.model_validate(dict(record.content))


JSONL_SOURCE = Source(
    name="jsonl",
    about="Your own edits: jsonl:FILE, or any FILE that ends in .jsonl or .json",
    license="yours",
    parse=parse_edit,
)
