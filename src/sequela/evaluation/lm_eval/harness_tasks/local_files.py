"""Local files that take the place of the hub's data sets for tasks of the harness.

`SEQUELA_DATA/lm_eval/<task>/<split>.jsonl` is used wherever it is there; the option `data` names files or a
folder. A file holds the rows of one split of the hub's data set, one JSON object a line, in the hub's fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sequela.core.errors import BadInputError
from sequela.core.paths import DATA_VARIABLE, data_folder

FOLDER = "lm_eval"
"""The folder within `SEQUELA_DATA`."""

EVALUATED = ""
"""Stands for the split that a task is evaluated on, whatever its name."""

_SUFFIXES = (".jsonl", ".jsonl.gz")


def find_local_files(
    name: str, tasks: Sequence[str], data: str | Mapping[str, str] | None
) -> dict[str, dict[str, Path]]:
    """Returns the local files of tasks by task and split; a task without any is not in it.

    Args:
        name: The task or group that was asked for.
        tasks: Its tasks.
        data: What the option `data` says.

    Raises:
        BadInputError: A file is missing, or files were given that can't be those of several tasks.
    """
    if data is None:
        folder = data_folder()
        found = {} if folder is None else {task: _splits(folder / FOLDER / task) for task in tasks}
        return {task: files for task, files in found.items() if files}
    if isinstance(data, str) and Path(data).expanduser().is_dir():
        return _of_folder(Path(data).expanduser(), tasks)
    if len(tasks) > 1:
        raise BadInputError(
            f"{name!r} stands for {len(tasks)} tasks, and `data` names files of one.",
            hint="Name a folder that has a folder for each task, with a file `<split>.jsonl` for each split.",
        )
    named = {EVALUATED: data} if isinstance(data, str) else data
    files = {split: Path(file).expanduser() for split, file in named.items()}
    for file in files.values():
        if not file.is_file():
            raise BadInputError(f"The task {name!r}: the data file {file} is missing.")
        if not file.name.endswith(_SUFFIXES):
            raise BadInputError(
                f"The task {name!r}: {file} is not of a known format.",
                hint="Give JSON lines: .jsonl, .jsonl.gz.",
            )
    if not files:
        raise BadInputError(f"The task {name!r}: `data` names no file.")
    return {tasks[0]: files}


def expected_file(task: str, split: str) -> str:
    """Returns where a split of a task is looked for, in words for error messages."""
    return f"{DATA_VARIABLE}/{FOLDER}/{task}/{split}.jsonl"


def _of_folder(folder: Path, tasks: Sequence[str]) -> dict[str, dict[str, Path]]:
    found = {task: _splits(folder / task) for task in tasks}
    if len(tasks) == 1 and not found[tasks[0]]:
        found[tasks[0]] = _splits(folder)
    for task, files in found.items():
        if not files:
            raise BadInputError(
                f"The folder {folder} has no data of the task {task!r}.",
                hint=f"It may have {task}/<split>.jsonl for each split.",
            )
    return found


def _splits(folder: Path) -> dict[str, Path]:
    """The files of a folder by split."""
    return {
        path.name.removesuffix(suffix): path
        for suffix in reversed(_SUFFIXES)
        for path in sorted(folder.glob(f"*{suffix}"))
    }
