"""Edits and the sources they come from."""

from sequela.edits.checks import check_edits
from sequela.edits.edit import Edit, Probe
from sequela.edits.edit_set import EditSet, Skipped
from sequela.edits.finding import Finding, FindingKind
from sequela.edits.questions import EditsInForce, Questions
from sequela.edits.registry import SOURCES, SourceDescription, check_source, describe_sources, load_edits
from sequela.edits.sources.jsonl import edit_schema, example_line
from sequela.edits.sources.records import Record
from sequela.edits.sources.source import Source

__all__ = [
    "SOURCES",
    "Edit",
    "EditSet",
    "EditsInForce",
    "Finding",
    "FindingKind",
    "Probe",
    "Questions",
    "Record",
    "Skipped",
    "Source",
    "SourceDescription",
    "check_edits",
    "check_source",
    "describe_sources",
    "edit_schema",
    "example_line",
    "load_edits",
]
