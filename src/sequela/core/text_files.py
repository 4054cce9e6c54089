"""Text files of a user's or a data set's, gzipped or not, and the JSON in them."""

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
    """Opens UTF-8 text for reading, decompressed where the name ends with `.gz`.

    Line ends stay as they are in the file; a byte-order mark is left out.

    Raises:
        BadInputError: It can't be opened or read, within the block too; the file and the reason are named.
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
    """Returns a whole text file, decompressed where the name ends with `.gz`.

    Raises:
        BadInputError: As `open_text`.
    """
    with open_text(path) as stream:
        return stream.read()


def read_json(path: Path) -> Any:
    """Returns what a JSON file holds.

    Raises:
        BadInputError: It can't be read or is not JSON.
    """
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise BadInputError(
            f"{path} is not JSON: {error}.", hint="Name a file with one JSON object per line `.jsonl`."
        ) from error


def read_json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yields the number (from 1) and the value of every line of JSON; empty lines are passed over.

    Raises:
        BadInputError: The file can't be read, or a line is not JSON; named by its number.
    """
    with open_text(path) as stream:  # its lines end at line feeds only: JSON strings may hold other breaks
        for number, line in enumerate(stream, start=1):
            if line.strip():
                yield number, _parsed(line, f"{path}, line {number}")


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BadInputError(f"{where}: not JSON: {error}.") from error
