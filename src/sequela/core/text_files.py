"""Reading of text files, gzipped or not, and of JSON in them."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from sequela.core.errors import BadInputError


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """Opens UTF-8 text for reading, decompressed if the name ends with `.gz`.

    Line ends are unchanged; a byte-order mark is skipped.

    Raises:
        BadInputError: The file can't be opened or, within the block, read; the message names file and reason.
    """
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as stream:
                yield stream
        else:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                yield stream
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path} is not UTF-8 text: {error}.") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(f"{path} can't be read: {reason}.") from error


def read_text(path: Path) -> str:
    """Returns the content of a text file, decompressed if the name ends with `.gz`.

    Raises:
        BadInputError: As `open_text`.
    """
    with open_text(path) as stream:
        return stream.read()


def read_json(path: Path) -> Any:
    """Returns the value in a JSON file.

    Raises:
        BadInputError: The file can't be read or is not JSON.
    """
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise BadInputError(
            f"{path} is not JSON: {error}.", hint="Name a file with one JSON object per line `.jsonl`."
        ) from error


def read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yields the number (from 1) and the value of every line of JSON; empty lines are skipped.

    Raises:
        BadInputError: The file can't be read, or a line is not JSON; the message has its number.
    """
    with open_text(path) as stream:  # split at line feeds only: JSON strings may contain other breaks
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield number, _parsed(line, f"{path}, line {number}")


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInputError(f"{where}: not JSON: {error}.") from error
