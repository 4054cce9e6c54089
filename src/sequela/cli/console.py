"""What commands have in common: where they write, and how they answer in JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from sequela.core.errors import BadInputError

DEFAULT_MODEL = "smollm2-135m-instruct"
"""The model of commands that are given none."""

WIDE = 160
"""The characters of a line where nobody says how many there are."""

DeviceOption = Annotated[str | None, typer.Option(help="cuda, mps or cpu (default: the best available).")]
PrecisionOption = Annotated[
    str,
    typer.Option(help="float32, bfloat16, float16, or auto (bfloat16 where the hardware supports it)."),
]
StatisticsOption = Annotated[
    str, typer.Option(help="The text for key statistics: self, wikitext2, a file, hub:<data set>.")
]
TokensOption = Annotated[int | None, typer.Option(min=2, help="The number of its tokens.")]
BatchSizeOption = Annotated[int, typer.Option(min=1, help="The number of edits made together.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def read_size(text: str) -> int:
    """The bytes that a text such as `4GiB`, `3.5G` or `4096` says.

    Raises:
        BadInputError: It is no size.
    """
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError as error:
        raise BadInputError(
            f"{text!r} is no size.", hint="Write it as 4GiB, as 3.5G (powers of 1,000) or in bytes."
        ) from error


MemoryOption = Annotated[
    int | None,
    typer.Option(
        parser=read_size,
        metavar="SIZE",
        help="Memory limit for the process, such as 4GiB or 3.5G (default: none).",
    ),
]


def standard_output() -> Console:
    """The console for answers; wide where it is no terminal, so that words in files and pipes stay whole."""
    console = Console()
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Console(width=WIDE)


def standard_error() -> Console:
    """The console for progress and errors, so that answers can be piped."""
    return Console(stderr=True)


def print_json(value: Any) -> None:
    """Writes a JSON value; numbers that JSON doesn't have become null."""
    sys.stdout.write(json.dumps(_finite(value), indent=2, ensure_ascii=False) + "\n")


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], first_width: int | None = None
) -> None:
    """Writes a table; what stands in it is text, never markup.

    Args:
        title: Stands above it.
        columns: The heads.
        rows: The cells.
        first_width: The first column is so wide, so that its words stay whole.
    """
    table = Table(title=escape(title), title_justify="left", header_style="bold")
    for place, column in enumerate(columns):
        table.add_column(escape(column), overflow="fold", width=None if place else first_width)
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    standard_output().print(table)


def print_entries(title: str, entries: Iterable[tuple[str, str, Sequence[str]]]) -> None:
    """Writes a list of names, each with a sentence and, dimmed below it, a line of details."""
    console = standard_output()
    console.print(f"[bold]{escape(title)}[/]", highlight=False)
    for name, text, details in entries:
        console.print(f"\n[bold cyan]{escape(name)}[/]", highlight=False)
        console.print(Padding(escape(text), (0, 0, 0, 2)), highlight=False)
        description = " · ".join(detail for detail in details if detail)
        if description:
            console.print(Padding(f"[dim]{escape(description)}[/]", (0, 0, 0, 2)), highlight=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
