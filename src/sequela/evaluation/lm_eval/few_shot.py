"""The source of a task's few-shot examples, which are the same for every item and at every evaluation.

The first of these that a task has:

1. what its file says under `harness`: `fewshot_split`, or a `split` or `samples` in `fewshot_config`;
2. its file of `examples`;
3. the examples that come with the included definition: its `samples`, a named split, or its training split;
4. for a file with its own items, the first `shots` of them, which are then not asked.

The first examples are used, unless the definition or the file names another sampler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sequela.core.errors import BadInputError
from sequela.evaluation.lm_eval.data_layout import Row
from sequela.evaluation.lm_eval.labeled_choices import check_labels, shuffled
from sequela.evaluation.lm_eval.local_data import own_file, read_items
from sequela.evaluation.lm_eval.task_file import TaskFile

Splits = Mapping[str, list[Row]]
"""The rows of a data set by split."""

ITEMS = "test"
"""The split of a task file's own items."""

EXAMPLES = "examples"
"""The split of few-shot examples from a task file's own file, or from its own items."""


@dataclass(frozen=True)
class OwnRows:
    """The rows of a task file of the user's own.

    Args:
        splits: The items and the few-shot examples, if it has its own.
        note: A note on items that are few-shot examples.
        places: The location of each example, for error messages.
    """

    splits: dict[str, list[Row]] = field(default_factory=dict)
    note: str = ""
    places: tuple[str, ...] = ()


def read_own_rows(file: TaskFile, folder: Path, upstream: Mapping[str, Any]) -> OwnRows:
    """Reads the items and few-shot examples in the folder of a task file.

    Args:
        file: The task file.
        folder: Its folder.
        upstream: The definition that it includes, if any.

    Raises:
        BadInputError: A file can't be read, or there are fewer examples than `shots`.
    """
    items = _read_rows(file, folder, file.items) if file.items else []
    check_labels(items, [file.targets] if file.targets else [], file.items, "targets")
    splits = {ITEMS: items} if file.items else {}
    if file.examples:
        examples = _read_rows(file, folder, file.examples)
        if len(examples) < file.shots:
            raise BadInputError(
                f"{folder / file.examples} has {len(examples)} few-shot examples; the task file has "
                f"shots: {file.shots}."
            )
        places = tuple(f"{file.examples}, example {number}" for number in range(1, len(examples) + 1))
        return OwnRows({**splits, EXAMPLES: examples}, places=places)
    if not file.items or not file.shots or _names_examples(file.harness) or _has_samples(upstream):
        return OwnRows(splits)
    if len(items) <= file.shots:
        raise BadInputError(
            f"{folder / file.items} has {len(items)} items; the first {file.shots} would be the few-shot "
            "examples, and none would be left to ask.",
            hint="Put the few-shot examples into a file of their own, and name it under `examples`.",
        )
    return OwnRows(
        {ITEMS: items[file.shots :], EXAMPLES: items[: file.shots]},
        f"the first {file.shots} items are the few-shot examples and are not asked",
        tuple(f"{file.items}, item {number}" for number in range(1, file.shots + 1)),
    )


def _read_rows(file: TaskFile, folder: Path, name: str) -> list[Row]:
    """Reads items or examples of a task file's own, and shuffles their choices as it says."""
    rows = read_items(own_file(folder, name))
    check_labels(rows, file.shuffled, name, "shuffled")
    return [shuffled(row, file.shuffled) for row in rows]


def example_settings(
    file: TaskFile, upstream: Mapping[str, Any], splits: Splits, shots: int
) -> dict[str, Any]:
    """Returns the keys of a definition that say where its few-shot examples come from.

    Args:
        file: The task file.
        upstream: The definition that it includes, if any.
        splits: The data set.
        shots: The number of few-shot examples.

    Raises:
        BadInputError: There is no split that the examples could come from.
    """
    settings: dict[str, Any] = {"training_split": None}
    if file.items:
        settings |= {"test_split": ITEMS} | _without_splits(upstream)
    if not shots or _names_examples(file.harness):
        return settings
    if EXAMPLES in splits:
        config = {**(upstream.get("fewshot_config") or {}), "sampler": "first_n", "split": EXAMPLES}
        config.pop("samples", None)
        return settings | {"fewshot_split": EXAMPLES, "fewshot_config": config}
    if _has_samples(upstream):
        return settings
    if not _names_examples(upstream):
        settings |= _from_training(file, upstream, splits)
    if "sampler" not in (config := upstream.get("fewshot_config") or {}):
        settings["fewshot_config"] = {**config, "sampler": "first_n"}
    return settings


def example_rows(definition: Mapping[str, Any], splits: Splits) -> list[Row]:
    """Returns the rows that few-shot examples are taken from; empty if they are part of the definition."""
    if not (source := _split_of(definition)):
        return []
    return splits[source]


def _from_training(file: TaskFile, upstream: Mapping[str, Any], splits: Splits) -> dict[str, Any]:
    """Returns the settings for examples from the training split, or else from the validation split."""
    evaluated = upstream.get("test_split") or upstream.get("validation_split")
    candidates = [upstream.get("training_split"), upstream.get("validation_split")]
    named = [name for name in candidates if name and name != evaluated]
    for name in named:
        if name in splits:
            return {"training_split": name}
    wanted = f"the split {named[0]!r}, which its data lack" if named else "a split other than its items'"
    raise BadInputError(
        f"The task {file.name!r}: its few-shot examples would come from {wanted}.",
        hint="Name a file of few-shot examples under `examples`, or set `shots: 0`.",
    )


def _without_splits(upstream: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that remove an included definition's splits, for a file with its own items."""
    settings: dict[str, Any] = {
        name: None for name in ("validation_split", "fewshot_split") if upstream.get(name)
    }
    if (config := upstream.get("fewshot_config") or {}).get("split"):
        settings["fewshot_config"] = {key: value for key, value in config.items() if key != "split"}
    return settings


def _split_of(definition: Mapping[str, Any]) -> str:
    config = definition.get("fewshot_config") or {}
    return str(
        config.get("split") or definition.get("fewshot_split") or definition.get("training_split") or ""
    )


def _names_examples(definition: Mapping[str, Any]) -> bool:
    config = definition.get("fewshot_config") or {}
    return bool(definition.get("fewshot_split") or config.get("split") or config.get("samples"))


def _has_samples(definition: Mapping[str, Any]) -> bool:
    config = definition.get("fewshot_config") or {}
    return not config.get("split") and config.get("samples") is not None
