"""Reading of text files, gzipped or not, and of JSON in them.

Whatever a file holds, reading it ends, takes a bounded amount of memory, and names file and line if something
is wrong.
"""

from __future__ import annotations

import gzip
import json
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sequela.core.errors import BadInputError
from sequela.core.plain_values import MAX_DEPTH, located, problem_of

MAX_TEXT = 2**28
"""The size, in characters, of a file that is read as a whole (a compressed file may hold far more)."""

MAX_LINE = 2**26
"""The size, in characters, of a line."""

MAX_BLANK_LINES = 1_000_000
"""The number of lines in a row that have only white space."""

MAX_EXPANSION = 200
"""The ratio of a file's characters to its compressed size; texts have less than 30, bombs 1,000."""

_CHECKED_FROM = 2**24
"""The number of characters from which on the expansion is checked."""


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """Opens UTF-8 text for reading, decompressed if the name ends with `.gz`.

    Line ends are unchanged; a byte-order mark is skipped.

    Raises:
        BadInputError: The file can't be opened or, within the block, read; the message names file and reason.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():  # a named pipe would block for ever
            raise BadInputError(f"{path} can't be read: it is not a regular file.")
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as stream:
                yield stream
        else:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                yield stream
    except UnicodeDecodeError as error:
        if path.suffix != ".gz" and _is_compressed(path):
            raise BadInputError(
                f"{path} is compressed by gzip.", hint=f"Name it {path.name}.gz, or decompress it."
            ) from error
        raise BadInputError(
            f"{path} is not UTF-8 text: {_undecodable(path)}.", hint="Save it with the encoding UTF-8."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(f"{path} can't be read: {reason}.") from error


def lines_of(stream: IO[str], path: Path) -> Iterator[str]:
    """Yields the lines of an open file, split at line feeds only, with their line feeds.

    Raises:
        BadInputError: A line is longer than `MAX_LINE`, there are more than `MAX_BLANK_LINES` without a text,
            or a compressed file is damaged or expands more than `MAX_EXPANSION` times.
    """
    most = MAX_EXPANSION * path.stat().st_size if path.suffix == ".gz" else 0
    number = n_blank = n_characters = 0
    while line := _next_line(stream, path, number):
        number += 1
        if len(line) > MAX_LINE:
            raise BadInputError(f"{path}, line {number}: it has more than {MAX_LINE:,} characters.")
        n_blank = n_blank + 1 if line.isspace() else 0
        if n_blank > MAX_BLANK_LINES:
            raise BadInputError(f"{path}, line {number}: more than {MAX_BLANK_LINES:,} empty lines in a row.")
        n_characters += len(line)
        if most and n_characters > max(most, _CHECKED_FROM):
            raise BadInputError(
                f"{path}, line {number}: the file expands to more than {MAX_EXPANSION} times its size.",
                hint="Decompress it if that is what it should hold.",
            )
        yield line


def _next_line(stream: IO[str], path: Path, number: int) -> str:
    """Returns the next line of a file, or its beginning if it is too long; empty at the end.

    Raises:
        BadInputError: The file is compressed and damaged; the message has the number of lines before.
    """
    try:
        return stream.readline(MAX_LINE + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadInputError(
            f"{path}: the compressed data are cut or damaged behind line {number:,} ({error}).",
            hint="Copy or download the file again.",
        ) from error


def read_text(path: Path, limit: int = MAX_TEXT) -> str:
    """Returns the content of a text file, decompressed if the name ends with `.gz`.

    Args:
        path: The file.
        limit: The maximum number of characters.

    Raises:
        BadInputError: As `open_text`, or the file is longer than `limit`.
    """
    with open_text(path) as stream:
        text = stream.read(limit + 1)
    if len(text) > limit:
        raise BadInputError(f"{path} has more than {limit:,} characters.")
    return text


def read_json(path: Path) -> Any:
    """Returns the value in a JSON file.

    Raises:
        BadInputError: The file can't be read, is not JSON, or holds what no program can use; see
            `parse_json`.
    """
    hint = "Name a file with one JSON object per line `.jsonl`."
    return parse_json(read_text(path), str(path), hint=hint)


def read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yields the number (from 1) and the value of every line of JSON; empty lines are skipped.

    Raises:
        BadInputError: The file can't be read, or a line is not usable JSON; the message has its number.
    """
    with open_text(path) as stream:  # split at line feeds only: JSON strings may contain other breaks
        for number, line in enumerate(lines_of(stream, path), start=1):
            if line.strip():
                yield number, parse_json(line, f"{path}, line {number}")


def parse_json(text: str, where: str, *, hint: str | None = None) -> Any:
    """Returns the value of a JSON text from outside.

    Args:
        text: The text.
        where: The file, and the line if there are several, for messages.
        hint: What to do if the text is not JSON.

    Raises:
        BadInputError: The text is not JSON, nests too deep, has a key twice in one object, a number that is
            not finite or too long, or a character that can't be encoded; the message names the field.
    """
    try:
        value = json.loads(text, object_pairs_hook=_object(where))
    except json.JSONDecodeError as error:
        raise BadInputError(
            f"{where}{' is' if hint else ':'} not JSON: {_fault(error)}.", hint=hint
        ) from error
    except RecursionError as error:
        raise BadInputError(f"{where}: it nests more than {MAX_DEPTH} levels deep.") from error
    except ValueError as error:  # Python's limit on the digits of a whole number
        raise BadInputError(f"{where}: a number has too many digits.") from error
    problem = problem_of(value)
    if problem is not None:
        raise BadInputError(located(where, *problem))
    return value


def _fault(error: json.JSONDecodeError) -> str:
    """Returns what is wrong with a JSON text in plain words, and where: one place, counted from 1."""
    text, at = error.doc, error.pos
    rest = text[at:].lstrip()
    if not rest:  # the text ends too early; the place is its last character
        at = max(0, len(text.rstrip()) - 1)
    words = next((words for beginning, words in _FAULTS if error.msg.startswith(beginning)), error.msg)
    what = f"{words}{', but the text ends' if not rest and words.endswith('expected') else ''}"
    column = at - text.rfind("\n", 0, at)
    several = text.rstrip().count("\n") > 0
    line = f"line {text.count(chr(10), 0, at) + 1}, " if several else ""
    return f"{what}, at {line}character {column}"


_FAULTS = (
    ("Expecting ',' delimiter", "a comma or the closing bracket is expected"),
    ("Expecting ':' delimiter", "a colon is expected"),
    ("Expecting property name", "a name in double quotes is expected"),
    ("Expecting value", "a value is expected"),
    ("Illegal trailing comma", "a comma stands before a closing bracket"),
    ("Extra data", "it goes on after the end of the value"),
    ("Unterminated string", "a text that begins with a double quote has no other one at its end"),
    ("Invalid control character", "a text has a line break or a tab in it; write \\n or \\t"),
    ("Invalid \\", "a backslash begins no known escape; write it twice"),
    ("Unexpected UTF-8 BOM", "it begins with a byte-order mark"),
)
"""The beginnings of Python's messages about JSON, and their meaning in plain words."""


def _object(where: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise BadInputError(f"{where}: an object has the field {twice!r} twice.")
        return found

    return unique


def _is_compressed(path: Path) -> bool:
    """Returns whether a file begins like one that gzip has compressed, whatever its name is."""
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _undecodable(path: Path) -> str:
    """Returns the first line that is not UTF-8, and its byte, in words."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        for number, line in enumerate(iter(lambda: stream.readline(MAX_LINE), b""), start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return f"line {number} has the byte 0x{line[error.start]:02x} ({error.reason})"
    return "it ends within a character"
