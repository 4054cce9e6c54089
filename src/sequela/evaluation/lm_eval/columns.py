"""The kinds of the values in the columns of a data file.

The harness keeps rows in tables whose columns have one kind each. A value of another kind is an error there
without a file and a line, or is converted in silence: with a fraction in its column, 1 becomes 1.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sequela.core.errors import BadInputError
from sequela.core.plain_values import kind_of
from sequela.core.visible_text import shortened

_LARGEST = 2**63 - 1
"""The largest whole number that a table holds."""


class Columns:
    """The kind of each column so far, with the place where it was seen first."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, str]] = {}

    def check(self, row: dict[str, Any], where: str) -> None:
        """Checks that the values of a row are of the kinds of earlier rows; null fits every kind.

        Args:
            row: The row.
            where: Its file and line, for messages.

        Raises:
            BadInputError: One is of another kind, or is a number that is too large.
        """
        for field, value in _values(row, ""):
            kind = kind_of(value)
            if isinstance(value, int) and not -_LARGEST - 1 <= value <= _LARGEST:
                raise BadInputError(
                    f"{where}: the field {field!r} is a number of more than 64 bits.",
                    hint="Write it as a text, in quotation marks.",
                )
            first, place = self._seen.setdefault(field, (kind, where))
            if kind != first:
                raise BadInputError(
                    f"{where}: the field {field!r} is {shortened(repr(value), 60)}, which is {kind}; in "
                    f"{place} it is {first}.",
                    hint="Write the values of a field in one way, for example all as texts.",
                )


def _values(value: Any, field: str) -> Iterator[tuple[str, Any]]:
    """Yields the values in a row, with the name of their column; the items of a list share one."""
    if field and value is not None:
        yield field, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(inner, f"{field}.{key}" if field else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, f"{field}[]")
