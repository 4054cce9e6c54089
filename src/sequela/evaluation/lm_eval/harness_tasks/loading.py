"""Builds tasks by the harness's own machinery, with local files where there are some and else the hub."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import jinja2
import numpy as np
from lm_eval.api.group import Group
from lm_eval.api.task import ConfigurableTask, Task
from lm_eval.tasks import TaskManager

from sequela.core.errors import BadInputError, SequelaError
from sequela.core.hub import hub_access, unreachable_because
from sequela.evaluation.lm_eval.harness_tasks.local_files import EVALUATED, expected_file
from sequela.evaluation.lm_eval.harness_tasks.settings import HarnessTaskSettings
from sequela.evaluation.lm_eval.local_data import read_items
from sequela.evaluation.lm_eval.quiet import quiet_harness

FEWSHOT_SEED = 1234
"""The seed with which the harness draws few-shot examples unless it is told otherwise."""

_RANDOM_SEED, _NUMPY_SEED = 0, 1234
"""The harness's own seeds for definitions that draw, such as those that shuffle choices."""


@dataclass(frozen=True)
class LoadedTasks:
    """Tasks of the harness with their data.

    Args:
        tasks: The harness's tasks by name.
        groups: The harness's groups by name; none if a single task or a tag was asked for.
        default_shots: The few-shot examples that each task has by itself.
        items: The rows that each task is evaluated on.
        examples: The rows that its few-shot examples are drawn from; none if it has no examples.
    """

    tasks: Mapping[str, Task]
    groups: Mapping[str, Group]
    default_shots: Mapping[str, int]
    items: Mapping[str, Any]
    examples: Mapping[str, Sequence[Any]]

    def shots(self, name: str) -> int:
        """Returns how many few-shot examples stand before each question of a task."""
        return int(self.tasks[name].config.num_fewshot or 0)


def load_tasks(settings: HarnessTaskSettings) -> LoadedTasks:
    """Builds the tasks and reads their data.

    Raises:
        BadInputError: The data don't fit the task, or a setting doesn't.
        SequelaError: The data can't be had, a Python package is missing, or the harness is too old.
    """
    if not hasattr(TaskManager, "load"):
        raise SequelaError(
            "The installed lm-evaluation-harness is too old to name its tasks.", hint="pip install -U lm-eval"
        )
    with quiet_harness(), hub_access() as reachable, harness_seeds():
        manager = TaskManager(include_path=list(settings.members.folders), include_defaults=False)
        with _local_data(settings, reachable) as replaced:
            loaded = _load(manager, settings)
        tasks: dict[str, Task] = loaded["tasks"]
        _check_loaded(settings, tasks, replaced)
        defaults = {name: int(task.config.num_fewshot or 0) for name, task in tasks.items()}
        for name, task in tasks.items():
            _set_shots(name, task, settings.num_fewshot)
        return LoadedTasks(
            tasks=tasks,
            groups=loaded.get("groups", {}),
            default_shots=defaults,
            items={name: _processed_once(task) for name, task in tasks.items()},
            examples={
                name: list(task.fewshot_docs() or []) if task.config.num_fewshot else []
                for name, task in tasks.items()
            },
        )


@contextlib.contextmanager
def harness_seeds() -> Iterator[None]:
    """Within the block `random` and NumPy draw from the harness's seeds; afterwards from their own again."""
    state, numpy_state = random.getstate(), np.random.get_state()
    random.seed(_RANDOM_SEED)
    np.random.seed(_NUMPY_SEED)
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)


def _load(manager: TaskManager, settings: HarnessTaskSettings) -> dict[str, Any]:
    name = settings.task
    spec = str(Path(name).expanduser()) if name in map(str, settings.members.files.values()) else name
    try:
        loaded: dict[str, Any] = manager.load(spec)
    except ModuleNotFoundError as error:
        raise SequelaError(
            f"The task {name!r} needs the Python package {error.name!r}, which is not installed.",
            hint=f"pip install {error.name}, or the extra of lm-eval that the task's page names.",
        ) from error
    except (OSError, ImportError) as error:
        raise SequelaError(
            f"The task {name!r} can't be loaded: {unreachable_because(error, True)}."
        ) from error
    except (jinja2.TemplateError, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise BadInputError(
            f"No item of the task {name!r} can be made of its data: {type(error).__name__}: {error}.",
            hint="The rows need the fields of the hub's data set.",
        ) from error
    return loaded


def _check_loaded(settings: HarnessTaskSettings, tasks: Mapping[str, Task], replaced: set[str]) -> None:
    for name in settings.local:
        if name not in replaced:
            raise BadInputError(
                f"The task {name!r} loads its data by code of its own; files can't replace them."
            )
    for name, task in tasks.items():
        if getattr(task, "MULTIMODAL", False):
            raise BadInputError(f"The task {name!r} has images or sound; only text can be asked.")


def _processed_once(task: Task) -> Any:
    """The rows a task is evaluated on; they are kept, since a task makes them anew whenever it is asked."""
    rows = task.eval_docs
    setattr(task, "test_docs" if task.has_test_docs() else "validation_docs", lambda: rows)
    return rows


@contextlib.contextmanager
def _local_data(settings: HarnessTaskSettings, reachable: bool) -> Iterator[set[str]]:
    """Within the block tasks read local files where there are some; yields the names of those that did.

    The harness has no setting for it: a task downloads its data while it is made.
    """
    original = ConfigurableTask.download
    replaced: set[str] = set()

    def download(
        task: ConfigurableTask, dataset_kwargs: dict[str, Any] | None = None, **options: Any
    ) -> None:
        name = str(task.config.task)
        if name in settings.local:
            replaced.add(name)
            _use_files(task, name, settings.local[name], settings.num_fewshot)
            return
        try:
            original(task, dataset_kwargs, **options)
        except (OSError, ValueError, RuntimeError) as error:
            raise _unavailable(task, name, error, reachable) from error

    ConfigurableTask.download = download
    try:
        yield replaced
    finally:
        ConfigurableTask.download = original


def _unavailable(task: ConfigurableTask, name: str, error: Exception, reachable: bool) -> SequelaError:
    split = task.config.test_split or task.config.validation_split or "test"
    data_set = " ".join(map(repr, filter(None, (task.DATASET_PATH, task.DATASET_NAME))))
    what = f"The data set {data_set}" if data_set else "The data set"
    return SequelaError(
        f"{what} of the task {name!r} can't be had: {unreachable_because(error, reachable)}.",
        hint=f"Connect to the network (some data sets need `hf auth login`), or put its rows into "
        f"{expected_file(name, split)}.",
    )


def _use_files(task: ConfigurableTask, name: str, files: Mapping[str, Path], num_fewshot: int | None) -> None:
    """Gives a task the rows of local files; splits that it has no need of may be missing."""
    config, examples = task.config, task.fewshot_cfg
    evaluated = config.test_split or config.validation_split
    own_shots = config.num_fewshot
    shots = own_shots if num_fewshot is None or own_shots == 0 else num_fewshot
    given = {evaluated if split == EVALUATED else split: path for split, path in files.items()}
    needed = {evaluated}
    if shots and examples.samples is None:
        needed.add(examples.split or config.training_split or config.validation_split or evaluated)
    for split in sorted(filter(None, needed)):
        if split not in given:
            why = "it is evaluated on" if split == evaluated else "its few-shot examples come from"
            raise BadInputError(
                f"The task {name!r}: there is no local file of the split {split!r}, which {why} "
                f"(given: {', '.join(sorted(given))}).",
                hint=f"Add {split}.jsonl to the files given, or {expected_file(name, split)}.",
            )
    if config.training_split not in given:
        config.training_split = None
    if config.validation_split not in given:
        config.validation_split = None
    if examples.split not in given:
        examples.split = config.fewshot_split = None
    task.dataset = datasets.DatasetDict(
        {split: datasets.Dataset.from_list(read_items(path)) for split, path in given.items()}
    )


def _set_shots(name: str, task: Task, num_fewshot: int | None) -> None:
    """Sets the few-shot examples as the harness does, which leaves a task alone that fixes them at none."""
    own = task.config.num_fewshot
    if num_fewshot is None:
        task.set_config(key="num_fewshot", value=own or 0)
    elif own == 0 and num_fewshot > 0:
        raise BadInputError(f"The task {name!r} has no few-shot examples; num_fewshot = {num_fewshot}.")
    else:
        task.set_config(key="num_fewshot", value=num_fewshot)
