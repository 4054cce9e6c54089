"""Whether the data of suites are within reach, found out before anything slow is imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from sequela.core.errors import SequelaError
from sequela.core.hub import OUT_OF_REACH, out_of_reach
from sequela.core.paths import DATA_VARIABLE
from sequela.evaluation.lm_eval.catalog import find_benchmark, protocols_of, subtasks_of
from sequela.evaluation.lm_eval.harness_tasks.index import definition_files, members_of, read_plain
from sequela.evaluation.lm_eval.harness_tasks.local_files import expected_file, find_local_files
from sequela.evaluation.lm_eval.local_data import local_path
from sequela.evaluation.lm_eval.task_file import SUBJECT, TaskFile
from sequela.evaluation.lm_eval.upstream_tasks import read_definition

BUILDERS = ("arrow", "audiofolder", "csv", "imagefolder", "json", "pandas", "parquet", "text", "webdataset")
"""The values of `dataset_path` that name a format of files and no repository."""


def check_benchmark_data(name: str, protocols: tuple[str, ...] | None = None) -> None:
    """Checks that the data of a benchmark may be available.

    Args:
        name: The benchmark, or the path of a task file.
        protocols: The protocols to run; the paper's if None.

    Raises:
        SequelaError: The data are neither in a local file nor in the hub's cache, and the hub is unreachable.
    """
    for file in find_benchmark(name).files:
        if file.protocol not in (protocols or protocols_of(name)[:1]):
            continue
        if not file.items and local_path(file) is None and (missing := out_of_reach([_data_set(file)])):
            folder = f"set {DATA_VARIABLE} to a folder that has {file.local.path}, or " if file.local else ""
            raise _unavailable(name, missing, f"{folder}connect to the network")


def check_harness_data(task: str, data: str | Mapping[str, str] | None = None) -> None:
    """Checks that the data of a task of the harness may be available.

    Args:
        task: The task, group, tag or YAML file.
        data: The option `data`.

    Raises:
        SequelaError: The data are neither in a local file nor in the hub's cache, and the hub is unreachable.
    """
    members = members_of(task)
    local = find_local_files(task, tuple(members.files), data)
    data_sets: dict[str, str] = {}
    for name, path in members.files.items():
        if name not in local:
            data_sets |= {one: data_sets.get(one, name) for one in _harness_data_set(path)}
    if missing := out_of_reach(data_sets):
        name = data_sets[missing]
        raise _unavailable(name, missing, f"put the rows into {expected_file(name, '<split>')}, or connect")


def _data_set(file: TaskFile) -> str:
    """Returns the hub's repository with the data of a benchmark."""
    subject = subtasks_of(file)[0] if file.has_subtasks else ""
    return str(read_definition(file.include.replace(SUBJECT, subject))["dataset_path"])


def _harness_data_set(path: Path) -> Iterator[str]:
    """Yields the hub's repository that a definition names; nothing if the data come from elsewhere."""
    for file in definition_files(path):
        content = read_plain(file)
        if "custom_dataset" in content:
            return
        if "dataset_path" in content:
            name = str(content["dataset_path"])
            if name not in BUILDERS and name.count("/") <= 1 and not Path(name).exists():
                yield name
            return


def _unavailable(name: str, repository: str, advice: str) -> SequelaError:
    return SequelaError(
        f"The data of {name!r} are not in a local file, and the data set {repository!r} can't be loaded: "
        f"{OUT_OF_REACH}.",
        hint=f"{advice[:1].upper()}{advice[1:]}.",
    )
