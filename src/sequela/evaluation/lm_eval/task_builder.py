"""Builds the harness's tasks from task files and upstream definitions, with local data or the hub's."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import datasets
from lm_eval.api.task import ConfigurableTask

from sequela.core.errors import BadInputError, SequelaError
from sequela.core.hashing import hash_json
from sequela.core.hub import hub_access, unreachable_because
from sequela.core.paths import DATA_VARIABLE
from sequela.core.visible_text import shortened
from sequela.evaluation.lm_eval.data_layout import Row
from sequela.evaluation.lm_eval.few_shot import Splits, example_rows, example_settings, read_own_rows
from sequela.evaluation.lm_eval.harness_keys import reason_of, stop_problem
from sequela.evaluation.lm_eval.item_checks import ItemChecks
from sequela.evaluation.lm_eval.item_records import Sample, joined
from sequela.evaluation.lm_eval.labeled_choices import shuffled
from sequela.evaluation.lm_eval.local_data import local_path, read_local
from sequela.evaluation.lm_eval.own_task import JOINING_VERSION, TEXT_VERSION, OwnTask, texts_kept
from sequela.evaluation.lm_eval.quiet import quiet_harness
from sequela.evaluation.lm_eval.repeatable import (
    harness_seeds,
    leave_out_asked_item,
    processed_once,
    start_sampler,
)
from sequela.evaluation.lm_eval.sandbox.characters import check_characters
from sequela.evaluation.lm_eval.sandbox.rendering import UNBUILDABLE, apply_template
from sequela.evaluation.lm_eval.task_file import FOLDER, PRESENTATION, SUBJECT, TaskFile
from sequela.evaluation.lm_eval.templates import sandboxed_templates
from sequela.evaluation.lm_eval.upstream_tasks import UpstreamFunction, read_definition, resolved


@dataclass(frozen=True)
class HarnessTask:
    """A task of the harness with its data, ready to run.

    Args:
        file: The task file.
        subtask: The subtask, if the benchmark has subtasks; otherwise empty.
        name: The task's name in results, with its version, and with a suffix if data or few-shot examples
            are not the standard ones.
        shots: The number of few-shot examples before each question.
        n_items: The number of items.
        note: The note on its scores.
        task: The harness's task object.
        content: A hash of definition, settings and items.
        first_prompt: The prompt of the first item, with its few-shot examples.
        first_target: The right answer of the first item.
    """

    file: TaskFile
    subtask: str
    name: str
    shots: int
    n_items: int
    note: str
    task: ConfigurableTask
    content: str
    first_prompt: str
    first_target: str

    @property
    def key(self) -> str:
        """The task's name in the harness, which includes the protocol."""
        return _key(self.file, self.name)

    def targets_of(self, sample: Sample) -> Sequence[str]:
        """Returns the right answers of an item with generated answers."""
        target = sample["target"]
        return target if isinstance(target, list) else [target]

    def choices_of(self, sample: Sample) -> Sequence[str]:
        """Returns the choices that were shown with an item with generated answers."""
        return _choices_of(self.file, sample["doc"])


def _choices_of(file: TaskFile, document: Row) -> Sequence[str]:
    return choices_shown(file.options, document) if file.options else ()


def choices_shown(options: str, document: Row) -> list[str]:
    """Returns the choices of an item, from the template that renders them as a list."""
    text = apply_template(options, document).strip()
    choices = ast.literal_eval(text) if text.startswith(("[", "(")) else text
    check_characters(choices, document)
    if not isinstance(choices, list | tuple) or not all(isinstance(one, str) for one in choices):
        raise ValueError(f"options is {shortened(text, 60)}, expected a list of texts")
    return list(choices)


def build_task(
    file: TaskFile,
    subject: str = "",
    limit: int | None = None,
    shots: int | None = None,
    max_new_tokens: int | None = None,
    folder: Path | None = None,
) -> HarnessTask:
    """Builds one task.

    Args:
        file: The task file, which gives the benchmark and the protocol.
        subject: The subject, if the benchmark has subjects.
        limit: The number of items to run, from the first on; all if None.
        shots: The number of few-shot examples; the standard number if None.
        max_new_tokens: The maximum number of new tokens of a generated answer; that of the task file if None.
        folder: The folder of the task file, for items of its own.

    Raises:
        SequelaError: The data are not in the user's folder and can't be loaded from the hub.
        BadInputError: An item lacks something that the definition requires; the message names it.
    """
    shots = file.shots if shots is None else shots
    upstream = read_definition(file.include.replace(SUBJECT, subject)) if file.include else {}
    data = _data(file, subject, upstream, folder)
    definition = _definition(file, upstream, data.splits, shots, max_new_tokens)
    _check_split_of_examples(file, data)
    upstream_name = definition.pop("task", "")
    name = task_name(file, subject, shots, data.departure)
    definition["task"] = _key(file, name)

    own = folder is not None and folder.resolve() != FOLDER.resolve()
    task_class: type[ConfigurableTask] = OwnTask if own else ConfigurableTask

    if own and (lacking := [key for key in ("doc_to_text", "doc_to_target") if definition.get(key) is None]):
        raise BadInputError(
            f"The task {file.name!r} can't be built: it has no harness.{lacking[0]}.",
            hint="Write a template for it under `harness`.",
        )

    def custom_dataset(**_: Any) -> datasets.DatasetDict:
        return data_set(data.splits)

    try:
        with quiet_harness(), harness_seeds(), sandboxed_templates():
            task = task_class(config={**resolved(definition), "custom_dataset": custom_dataset})
    except UNBUILDABLE as error:
        raise BadInputError(
            f"The task {file.name!r} can't be built from its definition and first item "
            f"({_because(error, definition, file, _first_row(data.splits))}).",
            hint="Check the templates under `harness`, and that the items have the fields they name.",
        ) from error
    if file.protocol != "generation" and definition.get("doc_to_choice") is None:
        raise BadInputError(
            f"The task {file.name!r}: the protocol {file.protocol} scores choices, and it has none.",
            hint='Add `harness: {doc_to_choice: "{{choices}}"}`, or use the protocol generation.',
        )
    if wrong := stop_problem((task.config.generation_kwargs or {}).get("until")):
        raise BadInputError(f"The task {file.name!r}: its generation_kwargs {wrong}.")
    leave_out_asked_item(task)
    start_sampler(task)
    documents = processed_once(task)
    n_run = len(documents) if limit is None else min(limit, len(documents))
    run_documents = documents.select(range(n_run))
    examples = example_rows(definition, data.splits)
    evaluated = task.config.test_split or task.config.validation_split or ""
    checks = ItemChecks(task, file, definition, lambda row: _choices_of(file, row), full=data.is_of_the_user)
    with sandboxed_templates(nulls=False):
        for number, document in enumerate(run_documents, start=data.n_left_out + 1):
            checks.check(document, f"{data.source_of(evaluated)}, record {number}")
        for row, place in zip(examples[:shots], data.places, strict=False):
            checks.check(row, place, "few-shot example")
        _check_apart(task, run_documents, shots, data, definition, file)
    with sandboxed_templates():
        first_prompt = _first_prompt(task, shots, definition, file)
        first_target = _first_target(task, file)
        remark = _repetitions(task, run_documents) if file.items else ""
    version = definition.get("metadata", {}).get("version")
    of_version = "" if version is None else f" v{version}"
    return HarnessTask(
        file=file,
        subtask=subject,
        name=name,
        shots=shots,
        n_items=len(documents),
        note=joined(
            f"prompts of lm-evaluation-harness's {upstream_name}{of_version}" if file.include else "",
            f"{shots}-shot",
            f"at most {_length(definition)} new tokens" if file.protocol == "generation" else "",
            data.departure,
            data.note,
            f"the first {n_run} of {len(documents)} items" if n_run < len(documents) else "",
            f"there are only {len(documents)} items" if limit is not None and limit > len(documents) else "",
            remark,
        ),
        task=task,
        content=_content(file, definition, examples, run_documents, task),
        first_prompt=first_prompt,
        first_target=first_target,
    )


def _key(file: TaskFile, name: str) -> str:
    return f"{name}/{file.protocol}"


def task_name(file: TaskFile, subject: str, shots: int, departure: str = "") -> str:
    """Returns the task's name with its version, and suffixes for deviations from the standard task."""
    part = f"_{subject}" if subject else ""
    changed_shots = "" if shots == file.shots else f"_{shots}shot"
    changed_data = "_local" if departure else ""
    return f"{file.name}{part}{changed_shots}{changed_data}@{file.version}"


def _definition(
    file: TaskFile, upstream: Mapping[str, Any], splits: Splits, shots: int, max_new_tokens: int | None
) -> dict[str, Any]:
    definition = {**upstream, "num_fewshot": shots}
    definition |= example_settings(file, upstream, splits, shots)
    if file.protocol == "generation":
        # Sequela's own parsers read the text; the harness's filters and metrics are not used.
        definition |= {
            "doc_to_choice": None,
            "filter_list": None,
            "metric_list": [{"metric": "exact_match"}],
        }
    definition |= file.harness
    definition["output_type"] = file.output_type
    if file.protocol == "generation":
        settings = {"do_sample": False, **(definition.get("generation_kwargs") or {})}
        settings["max_gen_toks"] = max_new_tokens or file.max_new_tokens
        definition["generation_kwargs"] = settings
    return definition


def _length(definition: Mapping[str, Any]) -> int:
    length: int = definition["generation_kwargs"]["max_gen_toks"]
    return length


@dataclass(frozen=True)
class _Data:
    """A task's data set.

    Args:
        splits: The rows by split.
        departure: A note on how the items differ from the official ones.
        note: A note on items that are few-shot examples.
        places: The location of each of its own few-shot examples.
        sources: The file of each split that was read from the user's files.
        n_left_out: The number of the first items that are few-shot examples and are not asked.
        benchmark: The benchmark, for messages.
    """

    splits: Splits
    departure: str = ""
    note: str = ""
    places: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    n_left_out: int = 0
    benchmark: str = ""

    @property
    def is_of_the_user(self) -> bool:
        """True if the items are in files of the user's, who can correct them."""
        return bool(self.sources)

    def source_of(self, split: str) -> str:
        """Returns the file with the items of a split, or the benchmark if they are from the hub."""
        return self.sources.get(split) or f"the data of {self.benchmark}"


def _data(file: TaskFile, subject: str, upstream: Mapping[str, Any], folder: Path | None) -> _Data:
    own = read_own_rows(file, folder or FOLDER, upstream)
    if file.items:
        sources, left_out = dict.fromkeys(own.splits, file.items), len(own.places) if own.note else 0
        return _Data(own.splits, "", own.note, own.places, sources, left_out, file.benchmark)
    if local_path(file) is None:
        published, departure = _from_hub(file, {**upstream, **file.harness}), ""
        sources = {}
    else:
        local = read_local(file, subject)
        published, departure = local.splits, local.departure
        sources = {split: str(path) for split, path in local.files.items()}
    if file.shuffled:
        published = {
            split: [shuffled(row, file.shuffled) for row in some] for split, some in published.items()
        }
    return _Data(
        {**published, **own.splits}, departure, places=own.places, sources=sources, benchmark=file.benchmark
    )


def data_set(splits: Splits) -> datasets.DatasetDict:
    """Returns rows as a data set of the harness."""
    return datasets.DatasetDict(
        {split: datasets.Dataset.from_list(list(rows)) for split, rows in splits.items()}
    )


def _from_hub(file: TaskFile, definition: Mapping[str, Any]) -> dict[str, list[Row]]:
    path, name = definition["dataset_path"], definition.get("dataset_name")
    with hub_access() as reachable:
        try:
            loaded = datasets.load_dataset(path, name)
        except (OSError, ValueError) as error:  # no network, no such data set, no permission
            raise SequelaError(
                f"The data set {path!r} ({name}) of the benchmark {file.benchmark!r} can't be loaded: "
                f"{unreachable_because(error, reachable)}.",
                hint=f"Connect to the network (some data sets need `hf auth login`), or set {DATA_VARIABLE} "
                "to a folder that has the data; `sequela tasks` lists the benchmarks and their data.",
            ) from error
    return {split: rows.to_list() for split, rows in loaded.items()}


def _check_split_of_examples(file: TaskFile, data: _Data) -> None:
    """Checks that the split that the file names for its few-shot examples exists.

    Raises:
        BadInputError: It doesn't.
    """
    config = file.harness.get("fewshot_config") or {}
    for key, split in (
        ("harness.fewshot_config.split", config.get("split")),
        ("harness.fewshot_split", file.harness.get("fewshot_split")),
    ):
        if split and split not in data.splits:
            raise BadInputError(
                f"The task {file.name!r}: {key} is {split!r}, and its data have no such split; they have "
                f"{', '.join(map(repr, data.splits))}.",
                hint="Name a file of few-shot examples under `examples`, or leave the key out.",
            )


def _check_apart(
    task: ConfigurableTask,
    documents: datasets.Dataset,
    shots: int,
    data: _Data,
    definition: Mapping[str, Any],
    file: TaskFile,
) -> None:
    """Checks that the few-shot examples of items of its own can be rendered, and ask none of those items.

    Where examples are drawn from the items, the harness leaves out the asked row alone: another row with the
    same question would still stand before it.
    """
    if not shots or not (file.items or data.places):
        return
    first_only = task.fewshot_cfg.sampler == "first_n"
    examples = list(task.sampler.fewshot_docs())
    places = data.places or tuple(f"few-shot example {number}" for number in range(1, len(examples) + 1))
    if first_only:  # one more, because the asked row may be one of the first
        examples = examples[: shots if data.places else shots + 1]
    asked_at: dict[str, list[tuple[Row, str]]] = {}
    for row, place in zip(examples, places, strict=False):
        try:
            asked_at.setdefault(_question(task, row), []).append((row, place))
            task.doc_to_target(row)
        except UNBUILDABLE as error:
            reason = _because(error, definition, file, row)
            raise BadInputError(f"{place}: no few-shot example can be built from it ({reason}).") from error
    drawn_from_items = task.fewshot_cfg.split is not None and not data.places
    for number, document in enumerate(documents, start=data.n_left_out + 1):
        same = asked_at.get(_question(task, document), [])
        places_of_same = [place for row, place in same if not (drawn_from_items and row == document)]
        if places_of_same:
            where = f"item {number}" if data.note else f"record {number}"
            raise BadInputError(
                f"{file.items or file.benchmark}, {where}: its question is that of a few-shot example "
                f"({places_of_same[0]}), so the answer would stand before it.",
                hint="Remove one of the two.",
            )


def _question(task: ConfigurableTask, row: Row) -> str:
    """Returns the question of an item or example; differences of white space don't count."""
    return " ".join(str(task.doc_to_text(row)).split())


def _repetitions(task: ConfigurableTask, documents: datasets.Dataset) -> str:
    """Returns a remark on items with the same question and choices; empty if there are none."""
    answers: dict[tuple[str, ...], list[str]] = {}
    for document in documents:
        target, choices = task.doc_to_target(document), []
        if task.config.doc_to_choice is not None:
            choices = task.doc_to_choice(document)
            target = choices[target]
        answers.setdefault((_question(task, document), *sorted(choices)), []).append(str(target))
    several = [len(set(found)) > 1 for found in answers.values() if len(found) > 1]
    kinds = {
        "with different right answers": sum(several),
        "with the same right answer": len(several) - sum(several),
    }
    return ", ".join(
        f"{'1 question is' if n == 1 else f'{n} questions are'} asked more than once, {how}"
        for how, n in kinds.items()
        if n
    )


def _first_target(task: ConfigurableTask, file: TaskFile) -> str:
    """Returns the right answer of the first item."""
    document = task.eval_docs[0]
    target = task.doc_to_target(document)
    if file.protocol == "generation":
        return " or ".join(map(str, target)) if isinstance(target, list) else str(target)
    return str(task.doc_to_choice(document)[int(target)])


def _first_prompt(task: ConfigurableTask, shots: int, definition: Mapping[str, Any], file: TaskFile) -> str:
    """Returns the first prompt with its few-shot examples.

    Raises:
        BadInputError: It can't be built, for example because there are too few examples.
    """
    try:
        prompt: str = task.fewshot_context(task.eval_docs[0], num_fewshot=shots)
    except UNBUILDABLE as error:
        raise BadInputError(
            f"The task {file.name!r}: no prompt with {shots} few-shot examples can be built "
            f"({_because(error, definition, file, task.eval_docs[0])})."
        ) from error
    return prompt


def _because(error: Exception, definition: Mapping[str, Any], file: TaskFile, record: Row | None) -> str:
    return reason_of(error, file.name, {"harness": definition, "options": file.options}, record=record)


def _first_row(splits: Splits) -> Row | None:
    return next((rows[0] for rows in splits.values() if rows), None)


def _content(
    file: TaskFile,
    definition: dict[str, Any],
    examples: Sequence[Row],
    documents: datasets.Dataset,
    task: ConfigurableTask,
) -> str:
    own = isinstance(task, OwnTask)
    with sandboxed_templates():
        kept = texts_kept(task, [*documents, *examples[: definition["num_fewshot"]]])
    left_out = set(PRESENTATION) | (set() if file.examples else {"examples"})
    return hash_json(
        {
            "harness": installed_version("lm-eval"),
            "file": file.model_dump(mode="json", exclude=left_out),
            "definition": _plain(definition),
            "items": documents.to_list(),
            "examples": list(examples),
            **({"joining": JOINING_VERSION} if own else {}),
            **({"texts": TEXT_VERSION} if kept else {}),
        }
    )


def _plain(value: Any) -> Any:
    if isinstance(value, UpstreamFunction):
        return dataclasses.asdict(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
