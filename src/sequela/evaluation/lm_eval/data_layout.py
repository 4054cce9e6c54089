"""Layouts of published data sets: their files, and the conversion of their records to items.

A layout is a mapping in a task file, or a file in `task_files/layouts` if several task files share it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import jinja2
from pydantic import BaseModel, ConfigDict, Field, field_validator

from sequela.core.errors import BadInputError
from sequela.core.visible_text import shortened
from sequela.evaluation.lm_eval.sandbox.rendering import UNBUILDABLE, compiled_expression

Row = dict[str, Any]

_KINDS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "text": (str, "a text"),
    "number": ((int, float), "a finite number"),
    "list": (list, "a list"),
    "object": (dict, "an object"),
}
"""The kinds of a field, with their Python types and their names in error messages."""


def picked_fields(record: Any, kinds: Mapping[str, str], where: str) -> Row:
    """Returns the required fields of a record, after checking their kinds.

    Args:
        record: The record.
        kinds: The kind of each field: `text`, `number`, `list` or `object`.
        where: The name of the record in error messages.

    Raises:
        BadInputError: The record is no object, or a field is missing or of the wrong kind. `true` and NaN
            don't count as numbers.
    """
    if not isinstance(record, dict):
        raise BadInputError(f"{where}: expected an object with {', '.join(kinds)}.")
    for field, kind in kinds.items():
        if field not in record:
            raise BadInputError(f"{where}: the field {field!r} is missing.")
        type_, noun = _KINDS[kind]
        value = record[field]
        wrong = not isinstance(value, type_) or (kind == "number" and isinstance(value, bool))
        if wrong or nonfinite_field(value):
            raise BadInputError(f"{where}: the field {field!r} is {_shown(value)}, expected {noun}.")
    return {field: record[field] for field in kinds}


def check_not_empty(fields: Row, kinds: Mapping[str, str], where: str) -> None:
    """Checks that the texts of a record are not empty.

    Args:
        fields: The fields of the record, as `picked_fields` returns them.
        kinds: The kind of each field.
        where: The name of the record in error messages.

    Raises:
        BadInputError: One has only white space.
    """
    for field, kind in kinds.items():
        if kind == "text" and not fields[field].strip():
            raise BadInputError(f"{where}: the field {field!r} is empty.")


def nonfinite_field(value: Any, name: str = "it") -> str:
    """Returns the name of a number that is not finite, anywhere in a value; an empty text if all are."""
    if isinstance(value, float):
        return "" if math.isfinite(value) else name
    entries = enumerate(value, start=1) if isinstance(value, list) else ()
    parts = value.items() if isinstance(value, dict) else entries
    return next((found for key, part in parts if (found := nonfinite_field(part, str(key)))), "")


def _shown(value: Any) -> str:
    return shortened(json.dumps(value, ensure_ascii=False), 60)


class SplitFile(BaseModel):
    """The file that holds a split.

    Args:
        path: The path relative to the benchmark's folder, with `{subject}` if there are subjects; empty for
            the file that the task file names.
        first: The number of records to read, from the first on; all if None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    path: str = ""
    first: int | None = Field(default=None, ge=1)


class DataLayout(BaseModel):
    """The layout of a data set.

    Args:
        format: `csv` with a header, `json`, or `json_lines` with one object per line.
        splits: The files, by the names of the splits on the hub.
        records: For `json`, the field that holds the list of records; empty if the file is that list.
        fields: The fields of a record to read, and the kind of each; a CSV header must begin with them.
        checks: The conditions that every record must meet, as Jinja expressions over its fields. The keys are
            the error messages for records that don't meet them.
        row: The fields of an item, with a Jinja expression for each; empty if they are those of the record.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["csv", "json", "json_lines"]
    splits: dict[str, SplitFile] = Field(min_length=1)
    records: str = ""
    fields: dict[str, Literal["text", "number", "list", "object"]] = Field(min_length=1)
    checks: dict[str, str] = Field(default_factory=dict)
    row: dict[str, str] = Field(default_factory=dict)

    @field_validator("checks", "row")
    @classmethod
    def _are_expressions(cls, value: dict[str, str]) -> dict[str, str]:
        for name, expression in value.items():
            try:
                compiled_expression(expression)
            except jinja2.TemplateSyntaxError as error:
                raise ValueError(f"{name}: {expression!r} is not an expression ({error})") from error
        return value

    def item(self, record: Any, where: str) -> Row:
        """Converts a record to an item.

        Args:
            record: The record.
            where: The name of the record in error messages.

        Raises:
            BadInputError: A field is missing, of the wrong kind or empty, or the record doesn't meet a
                condition.
        """
        fields = picked_fields(record, self.fields, where)
        item = self._converted(fields, where)
        check_not_empty(fields, self.fields, where)
        return item

    def _converted(self, fields: Row, where: str) -> Row:
        try:
            if (item := self._compiled_item(**fields)) is not None:
                return _defined(item) if self.row else fields
        except UNBUILDABLE:
            pass  # the expressions are evaluated one by one below, for the message
        try:
            for message, check in self._compiled_checks.items():
                if not check(**fields):
                    raise BadInputError(f"{where}: {message}.")
            if not self.row:
                return fields
            return {name: _defined(expression(**fields)) for name, expression in self._compiled_row.items()}
        except UNBUILDABLE as error:
            raise BadInputError(f"{where}: the record can't be converted to an item ({error}).") from error

    @cached_property
    def _compiled_item(self) -> Any:
        """The item as one expression, since beginning an evaluation is slow; none if a check fails."""
        item = ", ".join(f"{json.dumps(name)}: ({expression})" for name, expression in self.row.items())
        checks = " and ".join(f"({check})" for check in self.checks.values()) or "true"
        return compiled_expression(f"{{{item}}} if {checks} else none")

    @cached_property
    def _compiled_checks(self) -> Mapping[str, Any]:
        return {message: compiled_expression(text) for message, text in self.checks.items()}

    @cached_property
    def _compiled_row(self) -> Mapping[str, Any]:
        return {name: compiled_expression(text) for name, text in self.row.items()}


def _defined(value: Any) -> Any:
    """Returns the value, or raises the error of an undefined field."""
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises an error that names the field
    if isinstance(value, dict):
        return {name: _defined(inner) for name, inner in value.items()}
    return [_defined(inner) for inner in value] if isinstance(value, list) else value
