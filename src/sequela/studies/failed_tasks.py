"""The tasks of a run that failed whenever they were tried, and their logs in the run's folder."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from sequela.core.errors import CantWriteError, SequelaError
from sequela.core.paths import replacing
from sequela.core.wording import number_of
from sequela.scheduling import Failure, Outcome

LOGS = "failed"
"""The folder, in that of the run, with a log for each failed task of the last try to complete the run."""

FAILED_TASKS = 1
"""The exit status of a command some of whose tasks failed."""

_LONGEST_NAME = 80


class FailedTasksError(SequelaError):
    """Tasks of a run failed whenever they were tried; all others are done.

    Args:
        failed: The outcomes of the tasks.
        logs: The files with their logs, by the keys of the tasks; a full disk may have none.
    """

    exit_status = FAILED_TASKS

    def __init__(self, failed: Sequence[Outcome], logs: Mapping[str, Path] | None = None) -> None:
        self.failed = failed
        files = logs or {}
        lines = "\n".join(
            f"{one} (log: {files[one.task.key]})" if one.task.key in files else str(one) for one in failed
        )
        super().__init__(
            f"{number_of('task', len(failed))} of the run failed, and what needs them was not done:\n{lines}",
            hint="All other results are kept; the same command tries the rest again.",
        )


def write_logs(folder: Path, failed: Sequence[Outcome]) -> dict[str, Path]:
    """Writes the logs of failed tasks in place of those of the last time; returns the files by task.

    A log has all tries, with their tracebacks and what the workers printed. If the disk takes no more, the
    rest of the logs is left out: the errors are known without them.

    Args:
        folder: The folder of the run.
        failed: The outcomes of the tasks.
    """
    shutil.rmtree(folder / LOGS, ignore_errors=True)
    files: dict[str, Path] = {}
    for number, outcome in enumerate(failed, start=1):
        path = folder / LOGS / f"{number}-{_file_name(outcome.task.label)}.log"
        with suppress(OSError, CantWriteError):
            with replacing(path) as temporary:
                text = "\n".join([f"{outcome}\n", *map(_section, range(1, 100), outcome.failures)])
                temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
            files[outcome.task.key] = path
    return files


def _section(number: int, failure: Failure) -> str:
    return f"Try {number}: {failure.error}\n\n{failure.log}"


def _file_name(label: str) -> str:
    return re.sub(r"[^\w.,()+-]+", "-", label)[-_LONGEST_NAME:].strip("-") or "task"
