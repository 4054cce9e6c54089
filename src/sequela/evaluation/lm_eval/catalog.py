"""The benchmarks by name, built in or brought by installed packages, known without importing the harness.

A package brings a benchmark through the entry-point group `sequela.benchmarks`: the entry point has the
benchmark's name and names a package whose `*.yaml` files are its task files, with their items beside them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from sequela.core.errors import BadInputError, SequelaError, UnknownNameError
from sequela.core.registry import Registry
from sequela.evaluation.lm_eval.task_file import (
    FOLDER,
    SUBJECT,
    TaskFile,
    in_order,
    read_task_file,
    task_files,
)


@dataclass(frozen=True)
class Benchmark:
    """The task files of a benchmark.

    Args:
        files: The task files, the paper's protocol first.
        folder: The folder with the files, and with their items where they have their own.
    """

    files: tuple[TaskFile, ...]
    folder: Path


def _built_in() -> Mapping[str, Benchmark]:
    names = dict.fromkeys(file.benchmark for file in task_files())
    return {
        name: Benchmark(tuple(one for one in task_files() if one.benchmark == name), FOLDER) for name in names
    }


def _benchmark(name: str, found: object) -> Benchmark:
    if not isinstance(found, ModuleType) or not hasattr(found, "__path__"):
        raise ValueError("")
    folder = Path(next(iter(found.__path__)))
    files = in_order(read_task_file(path) for path in folder.glob("*.yaml"))
    own = tuple(file for file in files if file.benchmark == name)
    if not own:
        raise ValueError(f"has no task file of the benchmark {name!r}")
    return Benchmark(own, folder)


BENCHMARK_REGISTRY = Registry(
    kind="benchmark",
    group="sequela.benchmarks",
    built_in=_built_in,
    check=_benchmark,
    expected="a package with task files (`*.yaml`) of the benchmark",
)
"""The benchmarks."""


def benchmark_names() -> tuple[str, ...]:
    """The names of the benchmarks, in the paper's order; after them those of packages."""
    return BENCHMARK_REGISTRY.names()


def find_benchmark(name: str) -> Benchmark:
    """The benchmark of a name, or the one of a task file that is named by its path.

    Raises:
        UnknownNameError: There is no such benchmark.
        BadInputError: The file is no task, or the package that brings the benchmark can't be used.
    """
    if not is_path(name):
        return BENCHMARK_REGISTRY.get(name)
    path = Path(name).expanduser()
    return Benchmark((read_task_file(path),), path.parent)


def files_of(benchmark: str) -> tuple[TaskFile, ...]:
    """The task files of a benchmark, the paper's protocol first; or the one file that is named by its path.

    Raises:
        UnknownNameError: There is no such benchmark.
        BadInputError: As for `find_benchmark`.
    """
    return find_benchmark(benchmark).files


def is_path(name: str) -> bool:
    """Whether a name is that of a task file of the user's own."""
    return name.endswith((".yaml", ".yml"))


def protocols_of(benchmark: str) -> tuple[str, ...]:
    """The protocols a benchmark can be asked under, the paper's first."""
    return tuple(dict.fromkeys(file.protocol for file in files_of(benchmark)))


def subtasks_of(file: TaskFile) -> tuple[str, ...]:
    """The subjects of a benchmark, in alphabetical order; none if it is one task."""
    if not file.has_subtasks:
        return ()
    folder, _, pattern = file.include.rpartition("/")
    before, _, after = pattern.partition(SUBJECT)
    names = (path.name for path in (definitions_folder() / folder).glob(f"{before}*{after}"))
    found = (name.removeprefix(before).removesuffix(after) for name in names)
    return tuple(sorted(name for name in found if not name.startswith("_")))


def check_subtasks(file: TaskFile, chosen: Iterable[str]) -> tuple[str, ...]:
    """The chosen subjects, if the benchmark has them all.

    Raises:
        UnknownNameError: It doesn't have one of them.
        BadInputError: One is named twice, or none is named.
    """
    known, wanted = subtasks_of(file), tuple(chosen)
    for name in wanted:
        if name not in known:
            raise UnknownNameError(f"subject of {file.benchmark}", name, known)
    if not wanted or len(set(wanted)) < len(wanted):
        raise BadInputError(
            f"The subjects of {file.benchmark} were given as {', '.join(wanted) or 'an empty list'}.",
            hint="Name each subject once, or leave `subjects` out to run all of them.",
        )
    return wanted


def definitions_folder() -> Path:
    """Where the installed harness keeps its task definitions (found without importing it).

    Raises:
        SequelaError: lm-evaluation-harness is not installed.
    """
    found = importlib.util.find_spec("lm_eval")
    if found is None or found.origin is None:
        raise SequelaError("lm-evaluation-harness is not installed.", hint="pip install 'lm-eval>=0.4.9'")
    return Path(found.origin).parent / "tasks"
