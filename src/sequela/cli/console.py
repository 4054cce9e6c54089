"""Output of the commands: consoles, lines, tables, lists and JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from sequela.core.visible_text import shortened, visible, visible_in_json

WIDE = 160
"""The line width, in characters, if neither a terminal nor the environment sets it."""


LONGEST_CELL = 400
"""The number of characters of a text that a table shows; `--json` has all of them."""


def standard_output() -> Console:
    """Returns the console for results; it is wide without a terminal, to avoid line breaks in files."""
    console = Console()
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Console(width=WIDE)


def standard_error() -> Console:
    """Returns the console for progress and errors, which are kept apart so that results can be piped."""
    return Console(stderr=True)


def shown(text: str) -> str:
    """Returns a text as the console shows it: markup and characters that steer a terminal are only text."""
    return escape(visible(text))


def print_line(text: str, style: str = "") -> None:
    """Prints text to standard output without line breaks or markup."""
    standard_output().print(shown(text), style=style, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Prints a value as JSON; NaN and infinity become null."""
    sys.stdout.write(visible_in_json(json.dumps(_finite(value), indent=2, ensure_ascii=False)) + "\n")


def print_json_line(value: Any) -> None:
    """Prints a value as one line of JSON; NaN and infinity become null."""
    sys.stdout.write(visible_in_json(json.dumps(_finite(value), ensure_ascii=False)) + "\n")


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], first_width: int | None = None
) -> None:
    """Prints a table; its texts are not interpreted as markup, and long ones are shortened.

    Args:
        title: The title.
        columns: The headings of the columns.
        rows: The cells, row by row.
        first_width: The width of the first column in characters; automatic if None.
    """
    table = Table(title=shown(title), title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(shown(column), overflow="fold", width=None if index else first_width)
    for row in rows:
        table.add_row(*(shown(shortened(str(cell), LONGEST_CELL)) for cell in row))
    standard_output().print(table)


def print_entries(title: str, entries: Iterable[tuple[str, str, Sequence[str]]]) -> None:
    """Prints a list of names, each with a sentence and, dimmed below it, a line of details."""
    console = standard_output()
    console.print(f"[bold]{shown(title)}[/]", highlight=False)
    for name, text, details in entries:
        console.print(f"\n[bold cyan]{shown(name)}[/]", highlight=False)
        console.print(Padding(shown(text), (0, 0, 0, 2)), highlight=False)
        description = " · ".join(detail for detail in details if detail)
        if description:
            console.print(Padding(f"[dim]{shown(description)}[/]", (0, 0, 0, 2)), highlight=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
