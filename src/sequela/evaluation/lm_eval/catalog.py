"""The benchmarks by name, both built in and provided by packages; available without importing the harness.

A package provides a benchmark through the entry-point group `sequela.benchmarks`: the entry point has the
benchmark's name and names a package whose `*.yaml` files are its task files, in one folder with their items.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from sequela.core.errors import BadInputError, SequelaError, UnknownNameError
from sequela.core.paths import user_path
from sequela.core.registry import Registry
from sequela.core.visible_text import shortened
from sequela.evaluation.lm_eval.local_data import own_file
from sequela.evaluation.lm_eval.task_file import (
    FOLDER,
    SUBJECT,
    TaskFile,
    in_order,
    read_task_file,
    task_files,
)
from sequela.evaluation.suites.entries import SUITE_REGISTRY, check_suite_name

INSTALL_HINT = "pip install 'lm-eval>=0.4.12'"
"""The command that installs a version of the harness that is new enough; the bound is the package's."""


@dataclass(frozen=True)
class Benchmark:
    """The task files of a benchmark.

    Args:
        files: The task files, the paper's protocol first.
        folder: The folder with the files, and with their items if they have their own.
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
    check_suite_name(name)
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
"""The registry of benchmarks."""


def benchmark_names() -> tuple[str, ...]:
    """Returns the names of the benchmarks in the paper's order, those from packages last."""
    return BENCHMARK_REGISTRY.names()


def find_benchmark(name: str) -> Benchmark:
    """Returns the benchmark of a name or of a task file's path.

    Raises:
        UnknownNameError: There is no such benchmark.
        BadInputError: The file is not a task file, or the package that provides the benchmark can't be used.
    """
    if not is_path(name):
        return BENCHMARK_REGISTRY.get(name)
    path = user_path(name)
    file = read_task_file(path)
    for key, named in (("items", file.items), ("examples", file.examples)):
        if named:
            try:
                own_file(path.parent, named)
            except BadInputError as error:
                raise BadInputError(
                    f"The task file {path} names {shortened(repr(named), 80)} under `{key}`: {error.message}",
                    hint=f"Add the file, or correct `{key}` in the task file.",
                ) from error
    if path.parent.resolve() != FOLDER.resolve():
        _check_name(file.benchmark, path)
    return Benchmark((file,), path.parent)


def _check_name(benchmark: str, path: Path) -> None:
    """Checks that results under the name of a task file's benchmark would not mix with others.

    Raises:
        BadInputError: They would.
    """
    hint = "Choose another name under `benchmark`."
    kinds = {"benchmark": BENCHMARK_REGISTRY.names(), "suite": SUITE_REGISTRY.names()}
    for kind, names in kinds.items():
        if benchmark in names:
            raise BadInputError(
                f"The task file {path}: the name {benchmark!r} is that of an existing {kind}, and results "
                "under it would mix.",
                hint=hint,
            )
    try:
        check_suite_name(benchmark)
    except ValueError as error:
        raise BadInputError(f"The task file {path} {error}.", hint=hint) from error


def files_of(benchmark: str) -> tuple[TaskFile, ...]:
    """Returns the task files of a benchmark, the paper's protocol first, or the file of a given path.

    Raises:
        UnknownNameError: There is no such benchmark.
        BadInputError: As for `find_benchmark`.
    """
    return find_benchmark(benchmark).files


def is_path(name: str) -> bool:
    """Returns whether a name is the path of a task file of the user's own."""
    return name.endswith((".yaml", ".yml"))


def protocols_of(benchmark: str) -> tuple[str, ...]:
    """Returns the protocols of a benchmark, the paper's first."""
    return tuple(dict.fromkeys(file.protocol for file in files_of(benchmark)))


def subtasks_of(file: TaskFile) -> tuple[str, ...]:
    """Returns the subjects of a benchmark in alphabetical order; none if it is a single task."""
    if not file.has_subtasks:
        return ()
    folder, _, pattern = file.include.rpartition("/")
    before, _, after = pattern.partition(SUBJECT)
    names = (path.name for path in (definitions_folder() / folder).glob(f"{before}*{after}"))
    subjects = (name.removeprefix(before).removesuffix(after) for name in names)
    return tuple(sorted(subject for subject in subjects if not subject.startswith("_")))


def check_subtasks(file: TaskFile, chosen: Iterable[str]) -> tuple[str, ...]:
    """Checks that a benchmark has the chosen subjects, and returns them.

    Raises:
        UnknownNameError: The benchmark doesn't have one of them.
        BadInputError: The list is empty or has a duplicate.
    """
    known, subjects = subtasks_of(file), tuple(chosen)
    for name in subjects:
        if name not in known:
            raise UnknownNameError(f"subject of {file.benchmark}", name, known)
    if not subjects or len(set(subjects)) < len(subjects):
        raise BadInputError(
            f"Invalid subjects of {file.benchmark}: {', '.join(subjects) or 'an empty list'}.",
            hint="Name each subject once, or leave `subjects` out to run all of them.",
        )
    return subjects


def definitions_folder() -> Path:
    """Returns the installed harness's folder of task definitions, without importing the harness.

    Raises:
        SequelaError: lm-evaluation-harness is not installed.
    """
    found = importlib.util.find_spec("lm_eval")
    if found is None or found.origin is None:
        raise SequelaError("lm-evaluation-harness is not installed.", hint=INSTALL_HINT)
    return Path(found.origin).parent / "tasks"
