"""Local files that replace the hub's data sets for tasks of the harness.

`SEQUELA_DATA/lm_eval/<task>/<split>.jsonl` is used if it exists; the option `data` names other files or a
folder. A file has the rows of one split of the hub's data set, one JSON object per line with the hub's
fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sequela.core.errors import BadInputError
from sequela.core.paths import DATA_VARIABLE, data_folder, user_path

FOLDER = "lm_eval"
"""The folder within `SEQUELA_DATA`."""

EVALUATED = ""
"""A placeholder for the split that a task is evaluated on, whatever its name."""

_SUFFIXES = (".jsonl", ".jsonl.gz")


def find_local_files(
    name: str, tasks: Sequence[str], data: str | Mapping[str, str] | None
) -> dict[str, dict[str, Path]]:
    """Returns the local files of tasks by task and split, without tasks that have none.

    Args:
        name: The name of the task or group.
        tasks: Its tasks.
        data: The value of the option `data`.

    Raises:
        BadInputError: A file is missing, or files of one task were given for several tasks.
    """
    if data is None:
        folder = data_folder()
        found = {} if folder is None else {task: _splits(folder / FOLDER / task) for task in tasks}
        return {task: files for task, files in found.items() if files}
    if isinstance(data, str) and user_path(data).is_dir():
        return _of_folder(user_path(data), tasks)
    if len(tasks) > 1:
        raise BadInputError(
            f"{name!r} has {len(tasks)} tasks, but `data` names the files of one.",
            hint="Name a folder with a folder for each task, with a file `<split>.jsonl` for each split.",
        )
    named = {EVALUATED: data} if isinstance(data, str) else data
    files = {split: user_path(file) for split, file in named.items()}
    for file in files.values():
        if not file.is_file():
            raise BadInputError(f"The task {name!r}: the data file {file} is missing.")
        if not file.name.endswith(_SUFFIXES):
            raise BadInputError(
                f"The task {name!r}: the format of {file} is unknown.",
                hint="Use JSON lines: .jsonl or .jsonl.gz.",
            )
    if not files:
        raise BadInputError(f"The task {name!r}: `data` names no file.")
    return {tasks[0]: files}


def expected_file(task: str, split: str) -> str:
    """Returns the default path of a split of a task, for error messages."""
    return f"{DATA_VARIABLE}/{FOLDER}/{task}/{split}.jsonl"


def _of_folder(folder: Path, tasks: Sequence[str]) -> dict[str, dict[str, Path]]:
    found = {task: _splits(folder / task) for task in tasks}
    if len(tasks) == 1 and not found[tasks[0]]:
        found[tasks[0]] = _splits(folder)
    for task, files in found.items():
        if not files:
            raise BadInputError(
                f"The folder {folder} has no data for the task {task!r}.",
                hint=f"Add {task}/<split>.jsonl for each split.",
            )
    return found


def _splits(folder: Path) -> dict[str, Path]:
    """Returns the files of a folder by split."""
    return {
        path.name.removesuffix(suffix): path
        for suffix in reversed(_SUFFIXES)
        for path in sorted(folder.glob(f"*{suffix}"))
    }
