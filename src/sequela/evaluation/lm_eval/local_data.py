"""Data sets of the benchmarks from the user's own folder (`SEQUELA_DATA`).

A task file gives under `local` the path of its items in that folder, and their layout (see `data_layout`).
Local items take precedence over the hub, and a file may be compressed and end in `.gz`.

The rows have the fields that the harness's tasks expect from the hub's data sets.
"""

from __future__ import annotations

import csv
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from os.path import normpath
from pathlib import Path
from typing import Any

from sequela.core.errors import BadInputError
from sequela.core.paths import data_folder
from sequela.core.plain_values import located, problem_of
from sequela.core.text_files import lines_of, open_text, read_json, read_json_lines
from sequela.evaluation.lm_eval.columns import Columns
from sequela.evaluation.lm_eval.data_layout import (
    DataLayout,
    Row,
    SplitFile,
    check_not_empty,
    picked_fields,
)
from sequela.evaluation.lm_eval.task_file import JSON_LINES, SUBJECT, LocalFiles, TaskFile, layout_of


@dataclass(frozen=True)
class LocalData:
    """A data set read from local files.

    Args:
        splits: Rows by the split's name on the hub.
        departure: A note on how the rows differ from the official release; empty if no difference is known.
        files: The file of each split.
    """

    splits: dict[str, list[Row]]
    departure: str = ""
    files: Mapping[str, Path] = field(default_factory=dict)


def local_path(file: TaskFile) -> Path | None:
    """Returns the local file or folder with a benchmark's items; None if there is none."""
    folder = data_folder()
    if folder is None or file.local is None:
        return None
    found = sorted(folder.glob(file.local.path)) or sorted(folder.glob(f"{file.local.path}.gz"))
    return found[0] if found else None


def read_local(file: TaskFile, subject: str = "") -> LocalData:
    """Reads a benchmark's data from the user's folder.

    Args:
        file: The benchmark.
        subject: The subject, if the benchmark has subjects.

    Raises:
        BadInputError: A file or record is invalid; the message names it.
    """
    found = local_path(file)
    if found is None or file.local is None:
        raise BadInputError(f"SEQUELA_DATA has no {file.local.path if file.local else file.benchmark!r}.")
    if file.local.layout == JSON_LINES:
        files, splits = {file.local.split: found}, {file.local.split: _objects(found, file.local)}
    else:
        layout = layout_of(file.local)
        files = {name: _file_of(one, found, subject) for name, one in layout.splits.items()}
        splits = {name: _read_split(layout, one, files[name]) for name, one in layout.splits.items()}
    for name, rows in splits.items():
        if not rows:
            raise BadInputError(f"{files[name]} has no records.")
    n_rows, official = sum(len(rows) for rows in splits.values()), file.official_items
    if not file.local.count_rows or n_rows == official:
        return LocalData(splits, files=files)
    return LocalData(splits, f"local split of {n_rows} rows, not the official one of {official}", files)


def _objects(path: Path, local: LocalFiles) -> list[Row]:
    """Returns the objects of a JSON-lines file, reduced to the fields of the task file if it names any."""
    if not local.fields:
        return read_items(path)
    rows = []
    for where, record in _lines(path):
        rows.append(picked_fields(record, local.fields, where))
        check_not_empty(rows[-1], local.fields, where)
    return rows


def own_file(folder: Path, name: str) -> Path:
    """Returns the path of a file that a task file names, in its folder or below.

    Raises:
        BadInputError: There is no such file, or it can't be reached.
    """
    path = folder / name
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise BadInputError(f"{folder} has no such file.") from error
    except OSError as error:
        raise BadInputError(f"it can't be reached: {error.strerror or error}.") from error
    if not stat.S_ISREG(mode):
        raise BadInputError(f"it is {'a folder' if stat.S_ISDIR(mode) else 'no regular file'}.")
    return path


def read_items(path: Path) -> list[Row]:
    """Reads the items of a task file of the user's own: one JSON object per line.

    Raises:
        BadInputError: The file is missing or empty, or a line is not an object, or has other fields or other
            kinds of values than the first.
    """
    if not path.is_file():
        raise BadInputError(f"The file {path} with the items of a task is missing.")
    columns = Columns()
    rows: list[Row] = []
    for where, row in _lines(path):
        if not isinstance(row, dict):
            raise BadInputError(f"{where}: expected an object.")
        if rows and set(row) != set(rows[0]):
            differing = ", ".join(sorted(set(row) ^ set(rows[0])))
            raise BadInputError(f"{where}: the fields differ from those of the first record in {differing}.")
        columns.check(row, where)
        rows.append(row)
    if not rows:
        raise BadInputError(f"{path} has no items.")
    return rows


def _file_of(split: SplitFile, found: Path, subject: str) -> Path:
    """Returns the file of a split, in the file or folder that a task file names."""
    if not split.path:
        return found
    folder = found if found.is_dir() else found.parent
    return _present(Path(normpath(folder / split.path.replace(SUBJECT, subject))))


def _read_split(layout: DataLayout, split: SplitFile, path: Path) -> list[Row]:
    """Reads the items of one split.

    Raises:
        BadInputError: A record is invalid, or there are fewer than the layout says.
    """
    rows = [layout.item(record, where) for where, record in islice(_records(layout, path), split.first)]
    if split.first is not None and len(rows) < split.first:
        raise BadInputError(f"{path} has {len(rows)} records; {split.first} are needed.")
    return rows


def _records(layout: DataLayout, path: Path) -> Iterator[tuple[str, Any]]:
    """Yields the records of a file, each with its location for error messages."""
    if layout.format == "csv":
        yield from _csv_records(path, list(layout.fields))
        return
    if layout.format == "json_lines":
        yield from _lines(path)
        return
    content = read_json(path)
    if layout.records:
        content = content.get(layout.records) if isinstance(content, dict) else None
    if not isinstance(content, list):
        expected = f"an object with a list `{layout.records}`" if layout.records else "a list of records"
        raise BadInputError(f"{path}: expected {expected}.")
    for number, record in enumerate(content, start=1):
        yield f"{path}, record {number}", record


def _present(path: Path) -> Path:
    """Returns the path of a file or of its compressed form.

    Raises:
        BadInputError: Neither exists.
    """
    for candidate in (path, path.with_name(f"{path.name}.gz")):
        if candidate.is_file():
            return candidate
    raise BadInputError(f"The file {path} is missing.", hint=f"Add it, or remove the folder {path.parent}.")


def _csv_records(path: Path, fields: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    number = 0
    with open_text(path) as stream:
        try:
            reader = csv.DictReader(lines_of(stream, path))
            if (reader.fieldnames or [])[: len(fields)] != fields:
                raise BadInputError(
                    f"{path}: the header is {reader.fieldnames}, expected {','.join(fields)}."
                )
            for number, row in enumerate(reader, start=1):
                where = f"{path}, record {number}"
                if None in row or None in row.values():
                    raise BadInputError(f"{where}: expected {len(reader.fieldnames or [])} fields.")
                problem = problem_of(row)
                if problem is not None:
                    raise BadInputError(located(where, *problem))
                yield where, row
        except csv.Error as error:
            raise BadInputError(f"{path}, record {number + 1}: not CSV: {error}.") from error


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Yields the records of a file with one per line, each with its location for error messages."""
    for number, value in read_json_lines(path):
        yield f"{path}, line {number}", value
