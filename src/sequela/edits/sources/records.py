"""Records as data sets publish them: reads them from files, validates them and converts them to edits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sequela.core.errors import BadInputError
from sequela.core.plain_values import kind_of
from sequela.core.text_files import read_json, read_json_lines
from sequela.core.validation import InvalidFieldsError, in_words
from sequela.edits.edit import BLANK, Edit, Probe
from sequela.edits.edit_set import EditSet, Skipped


class RecordSchema(BaseModel):
    """The fields of a published record that an edit needs; further fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


@dataclass(frozen=True)
class Record:
    """One record, and its number in the file from 1 (in a JSONL file: the line number)."""

    number: int
    content: Mapping[str, Any]


@dataclass(frozen=True)
class RecordFile:
    """The records of one file or hub table.

    Args:
        origin: The name of the file or table in error messages.
        records: The records in their published order.
    """

    origin: str
    records: tuple[Record, ...]


Parse = Callable[[Record, str], Edit]
"""Converts a record, given the name of its source, to an edit."""


class UnusableRecordError(Exception):
    """Raised for a complete record that can't be used as an edit; `collect_edits` skips or rejects it."""


def read_records(path: Path) -> RecordFile:
    """Reads a JSON array or JSON lines, gzipped (`.gz`) or not.

    Raises:
        BadInputError: The file can't be read or has other content.
    """
    values = read_json_lines(path) if ".jsonl" in path.suffixes else enumerate(_json_array(path), start=1)
    records = []
    for number, value in values:
        if not isinstance(value, dict):
            raise BadInputError(
                f"{path}, record {number}: expected an object with fields, found {kind_of(value)}."
            )
        records.append(Record(number, value))
    if not records:
        raise BadInputError(f"{path} has no records.")
    return RecordFile(str(path), tuple(records))


def collect_edits(name: str, file: RecordFile, parse: Parse, *, strict: bool) -> EditSet:
    """Converts all records to edits.

    Args:
        name: The source's name.
        file: The records.
        parse: Converts one record.
        strict: If true, an unusable record is an error (in a user's own file). Otherwise it is
            listed in the set's `skipped` (in a public data set, which the user can't fix).

    Raises:
        BadInputError: A record lacks a field, repeats an id, or (if strict) is unusable;
            the message names file and record number. Or no record is usable.
    """
    edits: list[Edit] = []
    skipped: list[Skipped] = []
    number_of: dict[str, int] = {}
    for record in file.records:
        where = f"{file.origin}, record {record.number}"
        try:
            edit = parse(record, name)
        except (ValidationError, InvalidFieldsError) as error:
            problems = error.error if isinstance(error, InvalidFieldsError) else error
            raise BadInputError(
                f"{where}: {in_words(problems, allowed=[*Edit.model_fields, *Probe.model_fields])}.",
                hint=f"The record has the fields: {', '.join(map(str, record.content)) or 'none'}.",
            ) from error
        except UnusableRecordError as error:
            if strict:
                raise BadInputError(f"{where}: {error}.") from error
            skipped.append(Skipped(record.number, str(error)))
            continue
        if edit.id in number_of:
            raise BadInputError(f"{where} has the id {edit.id!r} of record {number_of[edit.id]}.")
        number_of[edit.id] = record.number
        edits.append(edit)
    if not edits:
        raise BadInputError(f"{file.origin}: none of the {len(skipped)} records is usable; {skipped[0]}.")
    return EditSet(name, tuple(edits), tuple(skipped))


def locate_subject(prompt: str, subject: str) -> tuple[str, str]:
    """Replaces the subject in a prompt by `{}`.

    The last whole-word occurrence is replaced; if there is none, one that differs only in letter case.

    Returns:
        The prompt with `{}`, and the subject as the prompt writes it.

    Raises:
        UnusableRecordError: The subject is empty or not in the prompt.
    """
    subject = subject.strip()
    if not subject:
        raise UnusableRecordError("its subject is empty")
    if BLANK in prompt:
        return prompt, subject
    whole_words = rf"(?<!\w){re.escape(subject)}(?!\w)"
    for flags in (0, re.IGNORECASE):
        matches = list(re.finditer(whole_words, prompt, flags))
        if matches:
            start, stop = matches[-1].span()
            return prompt[:start] + BLANK + prompt[stop:], prompt[start:stop]
    raise UnusableRecordError(f"the subject {subject!r} is not in the prompt {prompt!r}")


def nonempty_target(target: str) -> str:
    """Returns the target without surrounding white space.

    Raises:
        UnusableRecordError: The target is empty.
    """
    if not target.strip():
        raise UnusableRecordError("its target is empty")
    return target.strip()


def _json_array(path: Path) -> list[Any]:
    values = read_json(path)
    if not isinstance(values, list):
        raise BadInputError(f"{path}: expected a list of records, found {kind_of(values)}.")
    return values
