"""The benchmarks that come with the program, known without importing the harness."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from sequela.core.errors import BadInputError, SequelaError, UnknownNameError
from sequela.evaluation.lm_eval.task_file import SUBJECT, TaskFile, read_task_file, task_files


def benchmark_names() -> tuple[str, ...]:
    """The names of the benchmarks, in the paper's order."""
    return tuple(dict.fromkeys(file.benchmark for file in task_files()))


def files_of(benchmark: str) -> tuple[TaskFile, ...]:
    """The task files of a benchmark, the paper's protocol first; or the one file that is named by its path.

    Raises:
        UnknownNameError: There is no such benchmark.
        BadInputError: The file is no task.
    """
    if is_path(benchmark):
        return (read_task_file(Path(benchmark).expanduser()),)
    found = tuple(file for file in task_files() if file.benchmark == benchmark)
    if not found:
        raise UnknownNameError("benchmark", benchmark, benchmark_names())
    return found


def is_path(name: str) -> bool:
    """Whether a name is that of a task file of the user's own."""
    return name.endswith((".yaml", ".yml"))


def protocols_of(benchmark: str) -> tuple[str, ...]:
    """The protocols a benchmark can be asked under, the paper's first."""
    return tuple(dict.fromkeys(file.protocol for file in files_of(benchmark)))


def parts_of(file: TaskFile) -> tuple[str, ...]:
    """The subjects of a benchmark, in alphabetical order; none if it is one task."""
    if not file.has_parts:
        return ()
    folder, _, pattern = file.include.rpartition("/")
    before, _, after = pattern.partition(SUBJECT)
    names = (path.name for path in (definitions_folder() / folder).glob(f"{before}*{after}"))
    found = (name.removeprefix(before).removesuffix(after) for name in names)
    return tuple(sorted(name for name in found if not name.startswith("_")))


def check_parts(file: TaskFile, chosen: Iterable[str]) -> tuple[str, ...]:
    """The chosen subjects, if the benchmark has them all.

    Raises:
        UnknownNameError: It doesn't have one of them.
        BadInputError: One is named twice, or none is named.
    """
    known, wanted = parts_of(file), tuple(chosen)
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
