"""The budget of one rendering: how much it may do, read and make, whatever a template is built of.

Everything is counted in one unit, about a byte that is read or made. A step counts for several. So the budget
bounds time and memory together, and the same template ends at the same place on every machine.
"""

from __future__ import annotations

import math
from collections.abc import ItemsView, Iterable, KeysView, ValuesView
from typing import TypeVar

from jinja2.exceptions import SecurityError, TemplateRuntimeError
from jinja2.runtime import Undefined
from markupsafe import Markup

Value = TypeVar("Value")

MOST_WORK = 20_000_000
"""The budget of a rendering: a million steps, or about 20 MB of texts and lists."""

STEP = 20
"""The work of one operation, such as a call, a filter or a sum."""

OBJECT = 48
"""The approximate size of an object without its content."""

REFERENCE = 8
"""The size of a list's reference to an item."""

MOST_BITS = 4096
"""The maximum size of an integer that a template computes."""

MOST_DEPTH = 50
"""The maximum depth of calls of macros in each other, and of lists in lists."""

ESCAPED = 6
"""The maximum number of characters of a character that is written for a web page."""


class LimitError(SecurityError):
    """A template does, reads or makes too much.

    Args:
        message: What it does.
        template: The template, where it is known.
    """

    def __init__(self, message: str, template: str = "") -> None:
        super().__init__(message)
        self.template = template


class Budget:
    """The rest of the work that a rendering may do."""

    def __init__(self) -> None:
        self._left = MOST_WORK
        self._depth = 0

    def spend(self, work: int) -> None:
        """Takes work from the budget.

        Raises:
            LimitError: There isn't that much left.
        """
        self.check(work)
        self._left -= work

    def check(self, work: int) -> None:
        """Checks that there is as much left, before something that large is made.

        Raises:
            LimitError: There isn't.
        """
        if work > self._left:
            raise LimitError(
                f"it does or makes too much (more than {MOST_WORK // STEP:,} steps, or than "
                f"{MOST_WORK:,} bytes of texts and lists)"
            )

    def read(self, *values: object) -> None:
        """Counts an operation and the size of what it reads.

        Raises:
            LimitError: The budget is spent.
        """
        self.spend(STEP)
        for value in values:
            self.spend(self._size(value, 0))

    def made(self, value: Value) -> Value:
        """Counts the size of a result, and returns it.

        Raises:
            LimitError: The budget is spent, or a number is too large.
        """
        if isinstance(value, int) and value.bit_length() > MOST_BITS:
            raise LimitError(f"it makes an integer of more than {MOST_BITS} bits")
        self.spend(self._size(value, 0))
        return value

    def enter(self) -> None:
        """Begins a call.

        Raises:
            LimitError: Calls nest too deep.
        """
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise LimitError(f"it has macros that call each other more than {MOST_DEPTH} deep")

    def leave(self) -> None:
        """Ends a call."""
        self._depth -= 1

    def _size(self, value: object, depth: int) -> int:
        """Returns the size of a value as if it shared no parts, as it is written and compared."""
        if isinstance(value, str):
            return text_size(value)
        if isinstance(value, int):
            return OBJECT + value.bit_length() // 8
        if isinstance(value, range):
            return OBJECT * (1 + len(value))
        if callable(value) and not isinstance(value, Undefined):
            name = getattr(value, "__name__", None) or getattr(value, "name", None) or type(value).__name__
            raise TemplateRuntimeError(f"it uses the function {name!r} without calling it")
        items: Iterable[object]
        if isinstance(value, dict):
            items = (part for pair in value.items() for part in pair)
        elif isinstance(value, list | tuple | set | frozenset | KeysView | ValuesView | ItemsView):
            items = value
        else:
            return OBJECT
        if depth == MOST_DEPTH:
            raise LimitError(f"it has lists that nest more than {MOST_DEPTH} deep")
        size = OBJECT
        for item in items:
            size += REFERENCE + self._size(item, depth + 1)
            self.check(size)
        return size


def text_size(text: str) -> int:
    """Returns the approximate size of a text in bytes, whatever Python happens to keep with it."""
    return OBJECT + len(text) * (1 if text.isascii() else 4)


def growth(*values: object) -> int:
    """Returns by how much texts can grow if one of them escapes the others: once, or as for a web page."""
    return ESCAPED if any(isinstance(value, Markup) for value in values) else 1


def is_finite(value: object) -> bool:
    """Returns false for an infinite number and for NaN."""
    return not isinstance(value, float) or math.isfinite(value)
