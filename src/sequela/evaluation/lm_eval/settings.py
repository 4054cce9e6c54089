"""The settings of a benchmark, checked against its task files before anything is read or imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sequela.core.errors import BadInputError, TooFewItemsError, UnknownNameError
from sequela.evaluation.lm_eval.catalog import check_subtasks, find_benchmark, protocols_of, subtasks_of
from sequela.evaluation.lm_eval.local_data import own_file, read_items
from sequela.evaluation.lm_eval.task_file import TaskFile


@dataclass(frozen=True)
class BenchmarkSettings:
    """The validated settings of a benchmark, returned by `check_settings`.

    Args:
        files: The task files, one for each protocol and task.
        folder: The folder with the task files, and with their items if they have their own.
        limit: The number of items to run, from the first on; per subject if there are subjects. All if None.
        num_fewshot: The number of few-shot examples before each question; the standard number if None.
        subjects: The subjects to run; all if None.
        max_new_tokens: The maximum number of new tokens of generated answers; that of the task file if None.
        too_long: `refuse` counts a prompt longer than the model's context as wrong. `cut` truncates it on the
            left, few-shot examples first, as the harness does.
    """

    files: tuple[TaskFile, ...]
    folder: Path
    limit: int | None = None
    num_fewshot: int | None = None
    subjects: tuple[str, ...] | None = None
    max_new_tokens: int | None = None
    too_long: Literal["refuse", "cut"] = "refuse"

    @property
    def name(self) -> str:
        """The name of the benchmark."""
        return self.files[0].benchmark

    def subtasks_of(self, file: TaskFile) -> tuple[str, ...]:
        """Returns the subjects to run; a single empty name if the benchmark has none."""
        return (self.subjects or subtasks_of(file)) if file.has_subtasks else ("",)

    def length_of(self, file: TaskFile) -> int | None:
        """Returns the maximum length of generated answers; None for other tasks or the task file's value."""
        return self.max_new_tokens if file.protocol == "generation" else None


def check_settings(
    name: str,
    *,
    limit: int | None = None,
    num_fewshot: int | None = None,
    subjects: Sequence[str] | None = None,
    protocols: Sequence[str] | None = None,
    max_new_tokens: int | None = None,
    too_long: Literal["refuse", "cut"] = "refuse",
) -> BenchmarkSettings:
    """Checks the settings of a benchmark, and returns them.

    Args:
        name: The name of a benchmark, or the path of a task file of the user's own.
        limit: As in `BenchmarkSettings`.
        num_fewshot: As in `BenchmarkSettings`.
        subjects: As in `BenchmarkSettings`.
        protocols: The protocols; the paper's protocol if None.
        max_new_tokens: As in `BenchmarkSettings`.
        too_long: As in `BenchmarkSettings`.

    Raises:
        UnknownNameError: The benchmark, a subject or a protocol is unknown.
        BadInputError: A setting is invalid for the benchmark.
    """
    known = protocols_of(name)
    chosen = known[:1] if protocols is None else tuple(protocols)
    for protocol in chosen:
        if protocol not in known:
            raise UnknownNameError(f"protocol of {name}", protocol, known)
    if not chosen or len(set(chosen)) < len(chosen):
        raise BadInputError(
            f"Invalid protocols of {name}: {', '.join(chosen) or 'an empty list'}.",
            hint="Name each protocol once, or leave `protocols` out to use the paper's.",
        )
    benchmark = find_benchmark(name)
    files = tuple(file for file in benchmark.files if file.protocol in chosen)
    first = files[0]
    if limit is not None and limit < 1:
        raise BadInputError(f"{name}: the limit is {limit}, expected at least 1.")
    settings = {
        "num_fewshot": (num_fewshot, first.shots_settable and first.shots > 0),
        "subjects": (subjects, first.has_subtasks),
        "max_new_tokens": (max_new_tokens, any(file.protocol == "generation" for file in files)),
    }
    for setting, (value, allowed) in settings.items():
        if value is not None and not allowed:
            raise BadInputError(f"{name} has no setting {setting!r} under {', '.join(chosen)}.")
    most = len(read_items(own_file(benchmark.folder, first.items))) if first.items else None
    if limit is not None and most is not None and limit > most:
        raise TooFewItemsError(first.benchmark, limit, f"there are {most} items")
    if num_fewshot is not None and not 0 <= num_fewshot <= first.shots:
        raise BadInputError(
            f"{name}: num_fewshot = {num_fewshot}; expected 0 to {first.shots} few-shot examples."
        )
    return BenchmarkSettings(
        files=files,
        folder=benchmark.folder,
        limit=limit,
        num_fewshot=num_fewshot,
        subjects=None if subjects is None else check_subtasks(first, subjects),
        max_new_tokens=max_new_tokens,
        too_long=too_long,
    )
