"""How the files of a published data set are laid out, and how its records become items.

A layout is a table in a task file, or a file in `task_files/layouts` where several task files share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import jinja2
from pydantic import BaseModel, ConfigDict, Field, field_validator

from sequela.core.errors import BadInputError

Row = dict[str, Any]

KINDS: Mapping[str, type | tuple[type, ...]] = {
    "text": str,
    "number": (int, float),
    "list": list,
    "object": dict,
}
"""The kinds that a field can have."""


class SplitFile(BaseModel):
    """The file that holds a split.

    Args:
        path: Where it is, seen from the benchmark's folder, `{subject}` where there are subjects; empty for
            the file that the task file names.
        first: How many of its records are read, from the first on; all if None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = ""
    first: int | None = Field(default=None, ge=1)


class DataLayout(BaseModel):
    """The layout of a data set.

    Args:
        format: `csv` with a header, `json`, or `json_lines` with one object a line.
        splits: The files, by the names that the splits have on the hub.
        records: For `json`, the field that holds the list of records; empty if the file is that list.
        fields: The fields of a record that are read, and the kind of each; a CSV's header begins with them.
        checks: What every record must meet: a Jinja expression over its fields, by what is said of one that
            doesn't.
        row: The fields of an item, a Jinja expression for each; empty where they are those of the record.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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
                _compiled(expression)
            except jinja2.TemplateSyntaxError as error:
                raise ValueError(f"{name}: {expression!r} is no expression ({error})") from error
        return value

    def item(self, record: Any, where: str) -> Row:
        """Returns the item that a record stands for.

        Args:
            record: The record.
            where: Names it in errors.

        Raises:
            BadInputError: It lacks a field, or has one of another kind or with another content than expected.
        """
        fields = self._fields_of(record, where)
        try:
            for message, check in self._compiled_checks.items():
                if not check(**fields):
                    raise BadInputError(f"{where}: {message}.")
            if not self.row:
                return fields
            return {name: _defined(expression(**fields)) for name, expression in self._compiled_row.items()}
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise BadInputError(f"{where}: no item can be made of it ({error}).") from error

    def _fields_of(self, record: Any, where: str) -> Row:
        if not isinstance(record, dict):
            raise BadInputError(f"{where}: expected an object with {', '.join(self.fields)}.")
        for field, kind in self.fields.items():
            if not isinstance(record.get(field), KINDS[kind]):
                raise BadInputError(f"{where}: the field {field!r} is missing or of the wrong kind.")
        return {field: record[field] for field in self.fields}

    @cached_property
    def _compiled_checks(self) -> Mapping[str, Any]:
        return {message: _compiled(text) for message, text in self.checks.items()}

    @cached_property
    def _compiled_row(self) -> Mapping[str, Any]:
        return {name: _compiled(text) for name, text in self.row.items()}


def _compiled(expression: str) -> Any:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    return environment.compile_expression(expression, undefined_to_none=False)


def _defined(value: Any) -> Any:
    """The value, unless it is a field that a record doesn't have."""
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises what says which
    if isinstance(value, dict):
        return {name: _defined(inner) for name, inner in value.items()}
    return [_defined(inner) for inner in value] if isinstance(value, list) else value
