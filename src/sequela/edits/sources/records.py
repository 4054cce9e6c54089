"""Records as data sets publish them: reading files, telling what is wrong, making edits."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sequela.core.errors import BadInputError
from sequela.core.text_files import read_json, read_json_lines
from sequela.core.validation import in_words
from sequela.edits.edit import BLANK, Edit, Probe
from sequela.edits.edit_set import EditSet, Skipped


class RecordSchema(BaseModel):
    """The fields of a published record that an edit needs; further fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


@dataclass(frozen=True)
class Record:
    """One record, and its place in the file from 1 (in a JSONL file: its line)."""

    number: int
    content: Mapping[str, Any]


@dataclass(frozen=True)
class RecordFile:
    """The records of one file or hub table.

    Args:
        origin: The name by which errors call it.
        records: The records in their published order.
    """

    origin: str
    records: tuple[Record, ...]


Parse = Callable[[Record, str], Edit]
"""Makes an edit of a record and the name of its source."""


class UnusableRecordError(Exception):
    """A complete record that can't be an edit; `collect_edits` reports or refuses it."""


def read_records(path: Path) -> RecordFile:
    """Reads a JSON array or JSON lines, gzipped (`.gz`) or not.

    Raises:
        BadInputError: The file can't be read or has something else in it.
    """
    values = read_json_lines(path) if ".jsonl" in path.suffixes else enumerate(_json_array(path), start=1)
    records = []
    for number, value in values:
        if not isinstance(value, dict):
            raise BadInputError(
                f"{path}, record {number}: expected an object with fields, found {type(value).__name__}."
            )
        records.append(Record(number, value))
    if not records:
        raise BadInputError(f"{path} has no records.")
    return RecordFile(str(path), tuple(records))


def collect_edits(name: str, file: RecordFile, parse: Parse, *, strict: bool) -> EditSet:
    """Makes edits of all records, or says which record is wrong.

    Args:
        name: The source's name.
        file: The records.
        parse: Makes one edit.
        strict: Whether an unusable record is an error (a user's own file) or is listed
            in the set's `skipped` (a public data set, which the user can't mend).

    Raises:
        BadInputError: A record lacks a field, repeats an id, or (if strict) is unusable;
            named by file and record number. Or no record is usable.
    """
    edits: list[Edit] = []
    skipped: list[Skipped] = []
    number_of: dict[str, int] = {}
    for record in file.records:
        where = f"{file.origin}, record {record.number}"
        try:
            edit = parse(record, name)
        except ValidationError as error:
            raise BadInputError(
                f"{where}: {in_words(error, allowed=[*Edit.model_fields, *Probe.model_fields])}.",
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
    """Turns a prompt that names its subject into one with `{}` in its place.

    The last whole-word occurrence is taken; one that differs only in letter case will do.

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
    """The target, if it says anything.

    Raises:
        UnusableRecordError: It is empty.
    """
    if not target.strip():
        raise UnusableRecordError("its target is empty")
    return target.strip()


def _json_array(path: Path) -> list[Any]:
    values = read_json(path)
    if not isinstance(values, list):
        raise BadInputError(f"{path}: expected a list of records, found {type(values).__name__}.")
    return values
