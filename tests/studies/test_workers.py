"""The choice of workers."""

from __future__ import annotations

import pytest

from sequela.core.errors import BadInputError
from sequela.core.progress import Progress
from sequela.scheduling import InlineExecutor, ProcessExecutor, RayExecutor, Task
from sequela.studies.workers import THIS_PROCESS, Workers


class NoWorkbench:
    """Does no task."""

    def run(self, task: Task, progress: Progress) -> object:
        """Returns None."""

    def close(self) -> None:
        """Has nothing to release."""


def test_one_local_worker_is_this_process() -> None:
    assert isinstance(THIS_PROCESS.make(NoWorkbench, NoWorkbench), InlineExecutor)


def test_several_are_processes_and_ray_is_ray_even_with_one() -> None:
    assert isinstance(Workers(2).make(NoWorkbench, NoWorkbench), ProcessExecutor)
    assert isinstance(Workers(1, "ray").make(NoWorkbench, NoWorkbench), RayExecutor)


def test_no_workers_are_refused() -> None:
    with pytest.raises(BadInputError, match="0 workers can do nothing"):
        Workers(0)


def test_an_address_without_ray_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"'10\.0\.0\.1:6379' is of a Ray cluster") as caught:
        Workers(2, address="10.0.0.1:6379")
    assert caught.value.hint == "Add --executor ray."
