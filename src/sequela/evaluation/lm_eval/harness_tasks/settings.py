"""The settings of a task of the harness, checked before the harness is imported or data are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sequela.core.errors import BadInputError
from sequela.evaluation.lm_eval.harness_tasks.code import foreign_code, loads_by_code, writes_code
from sequela.evaluation.lm_eval.harness_tasks.index import Members, members_of, read_whole
from sequela.evaluation.lm_eval.harness_tasks.local_files import find_local_files


@dataclass(frozen=True)
class HarnessTaskSettings:
    """The validated settings of a task of the harness, returned by `check_harness_task`.

    Args:
        task: The task, group or tag, or the YAML file of a task of the user's own.
        members: The tasks that the name includes.
        local: The local files that replace the hub's data, by task and split.
        limit: The number of items of each task to run, from the first on; all if None.
        num_fewshot: The number of few-shot examples before each question; the task's own number if None.
        too_long: `refuse` counts a prompt longer than the model's context as wrong, `cut` truncates it on
            the left.
        confirm_run_unsafe_code: Whether tasks may run code that the model wrote.
    """

    task: str
    members: Members
    local: Mapping[str, Mapping[str, Path]]
    limit: int | None = None
    num_fewshot: int | None = None
    too_long: Literal["refuse", "cut"] = "refuse"
    confirm_run_unsafe_code: bool = False


def check_harness_task(
    _: str = "lm_eval",
    *,
    task: str,
    limit: int | None = None,
    num_fewshot: int | None = None,
    data: str | Mapping[str, str] | None = None,
    trust_remote_code: bool = False,
    confirm_run_unsafe_code: bool = False,
    too_long: Literal["refuse", "cut"] = "refuse",
) -> HarnessTaskSettings:
    """Checks that the harness has the task and that all files exist, and returns the settings.

    Args:
        _: The suite's name.
        task: As in `HarnessTaskSettings`.
        limit: As in `HarnessTaskSettings`.
        num_fewshot: As in `HarnessTaskSettings`.
        data: A file with the evaluated split, a folder with a file for each split, or files by split.
        trust_remote_code: Whether Python code from outside the harness may be run: of the data set's
            repository, of a metric on the hub, or named by a YAML file of the user's own.
        confirm_run_unsafe_code: As in `HarnessTaskSettings`.
        too_long: As in `HarnessTaskSettings`.

    Raises:
        UnknownNameError: The installed harness has no such task.
        BadInputError: A file is missing, or the task needs to run code that is not trusted.
        SequelaError: lm-evaluation-harness is not installed.
    """
    members = members_of(task)
    local = find_local_files(task, tuple(members.files), data)
    for name, path in members.files.items():
        _check_code(name, path, name in local, trust_remote_code, confirm_run_unsafe_code)
    for path in members.group_files:
        _check_code(task, path, set(members.files) <= set(local), trust_remote_code, confirm_run_unsafe_code)
    return HarnessTaskSettings(task, members, local, limit, num_fewshot, too_long, confirm_run_unsafe_code)


def _check_code(task: str, path: Path, has_local_data: bool, trusted: bool, unsafe_confirmed: bool) -> None:
    """Rejects a task that runs code without permission."""
    definition = read_whole(path)
    if writes_code(definition) and not unsafe_confirmed:
        raise BadInputError(
            f"The task {task!r} runs code that the model writes.",
            hint=_how_to_allow(task, "confirm_run_unsafe_code"),
        )
    if trusted:
        return
    if loads_by_code(definition) and not has_local_data:
        raise BadInputError(
            f"The data set of the task {task!r} is loaded by Python code of its repository.",
            hint=f"Use local data. {_how_to_allow(task, 'trust_remote_code')}",
        )
    if foreign := foreign_code(path):
        raise BadInputError(
            f"The task {task!r} runs Python code from outside lm-evaluation-harness: {', '.join(foreign)}.",
            hint=_how_to_allow(task, "trust_remote_code"),
        )


def _how_to_allow(task: str, setting: str) -> str:
    option = setting.replace("_", "-")
    return (
        f"If you trust that code, allow it: give `sequela evaluate` the option --{option}, or write the "
        f"suite in a study file as {{name: lm_eval, task: {task}, {setting}: true}}."
    )
