"""Builds tasks with the harness's own code, from local files if there are any, otherwise from the hub."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
from lm_eval.api.group import Group
from lm_eval.api.task import ConfigurableTask, Task
from lm_eval.tasks import TaskManager

from sequela.core.errors import BadInputError, SequelaError
from sequela.core.hub import hub_access, unreachable_because
from sequela.core.paths import user_path
from sequela.evaluation.lm_eval.catalog import INSTALL_HINT
from sequela.evaluation.lm_eval.harness_keys import length_problem, stop_problem
from sequela.evaluation.lm_eval.harness_tasks.local_files import EVALUATED, expected_file
from sequela.evaluation.lm_eval.harness_tasks.settings import HarnessTaskSettings
from sequela.evaluation.lm_eval.local_data import read_items
from sequela.evaluation.lm_eval.quiet import quiet_harness
from sequela.evaluation.lm_eval.repeatable import harness_seeds, leave_out_asked_item, processed_once
from sequela.evaluation.lm_eval.sandbox.rendering import UNBUILDABLE
from sequela.evaluation.lm_eval.template_errors import in_words
from sequela.evaluation.lm_eval.templates import sandboxed_templates


@dataclass(frozen=True)
class LoadedTasks:
    """Tasks of the harness with their data.

    Args:
        tasks: The harness's tasks by name.
        groups: The harness's groups by name; empty if a single task or a tag is run.
        default_shots: The number of few-shot examples in each task's definition.
        items: The rows that each task is evaluated on.
        examples: The rows that its few-shot examples are drawn from; empty if it has no examples.
        leaving_out: The tasks whose asked item is left out of its own examples, unlike in the harness.
    """

    tasks: Mapping[str, Task]
    groups: Mapping[str, Group]
    default_shots: Mapping[str, int]
    items: Mapping[str, Any]
    examples: Mapping[str, Sequence[Any]]
    leaving_out: frozenset[str] = frozenset()

    def shots(self, name: str) -> int:
        """Returns the number of few-shot examples before each question of a task."""
        return int(self.tasks[name].config.num_fewshot or 0)


def load_tasks(settings: HarnessTaskSettings) -> LoadedTasks:
    """Builds the tasks and reads their data.

    Raises:
        BadInputError: The data or a setting don't fit the task.
        SequelaError: The data can't be loaded, a Python package is missing, or the harness is too old.
    """
    if not hasattr(TaskManager, "load"):
        raise SequelaError(
            "The installed lm-evaluation-harness is too old: it has no `TaskManager.load`.", hint=INSTALL_HINT
        )
    with quiet_harness(), hub_access() as reachable, harness_seeds(), sandboxed_templates():
        manager = TaskManager(include_path=list(settings.members.folders), include_defaults=False)
        with _local_data(settings, reachable) as replaced:
            loaded = _load(manager, settings)
        tasks: dict[str, Task] = loaded["tasks"]
        _check_loaded(settings, tasks, replaced)
        defaults = {name: int(task.config.num_fewshot or 0) for name, task in tasks.items()}
        for name, task in tasks.items():
            _set_shots(name, task, settings.num_fewshot)
        examples = {
            name: list(task.fewshot_docs() or []) if task.config.num_fewshot else []
            for name, task in tasks.items()
        }
        return LoadedTasks(
            tasks=tasks,
            groups=loaded.get("groups", {}),
            default_shots=defaults,
            items={name: processed_once(task) for name, task in tasks.items()},
            examples=examples,
            leaving_out=frozenset(
                name for name, task in tasks.items() if examples[name] and leave_out_asked_item(task)
            ),
        )


def _load(manager: TaskManager, settings: HarnessTaskSettings) -> dict[str, Any]:
    name = settings.task
    spec = str(user_path(name)) if name in map(str, settings.members.files.values()) else name
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
    except UNBUILDABLE as error:
        raise BadInputError(
            f"The data of the task {name!r} don't fit its definition: {in_words(error)}.",
            hint="The rows need the same fields as the hub's data set.",
        ) from error
    return loaded


def _check_loaded(settings: HarnessTaskSettings, tasks: Mapping[str, Task], replaced: set[str]) -> None:
    for name in settings.local:
        if name not in replaced:
            raise BadInputError(
                f"The task {name!r} loads its data with its own code, which local files can't replace."
            )
    for name, task in tasks.items():
        generation = getattr(task.config, "generation_kwargs", None) or {}
        wrong = stop_problem(generation.get("until")) or length_problem(generation.get("max_gen_toks"))
        if wrong:
            raise BadInputError(f"The task {name!r} {wrong}.")
        if getattr(task, "MULTIMODAL", False):
            raise BadInputError(f"The task {name!r} has images or sound; only tasks with text are supported.")


@contextlib.contextmanager
def _local_data(settings: HarnessTaskSettings, reachable: bool) -> Iterator[set[str]]:
    """Makes tasks read local files, if there are any, for the length of a block.

    The harness has no setting for this: a task downloads its data in its constructor.

    Yields:
        The names of the tasks that read local files, filled while tasks are loaded.
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
        f"{what} of the task {name!r} can't be loaded: {unreachable_because(error, reachable)}.",
        hint=f"Connect to the network (some data sets need `hf auth login`), or put its rows into "
        f"{expected_file(name, split)}.",
    )


def _use_files(task: ConfigurableTask, name: str, files: Mapping[str, Path], num_fewshot: int | None) -> None:
    """Gives a task the rows of local files; splits that it doesn't need may be missing."""
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
    """Sets the number of few-shot examples; as in the harness, a task that fixes it at 0 can't be changed."""
    own = task.config.num_fewshot
    if num_fewshot is None:
        task.set_config(key="num_fewshot", value=own or 0)
    elif own == 0 and num_fewshot > 0:
        raise BadInputError(f"The task {name!r} has no few-shot examples; num_fewshot = {num_fewshot}.")
    else:
        task.set_config(key="num_fewshot", value=num_fewshot)
