"""Builds the harness's tasks: stock definition, data from the user's folder or the hub."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from typing import Any

import datasets
from lm_eval.api.task import ConfigurableTask

from sequela.evaluation.harness.catalog import CatalogEntry
from sequela.evaluation.harness.definitions import StockFunction, read_definition, resolved
from sequela.evaluation.harness.local_data import LocalData, read_local
from sequela.evaluation.harness.quiet import quiet_harness
from sequela.ground.errors import SequelaError
from sequela.ground.hashing import hash_json
from sequela.ground.hub import hub_access, unreachable_because
from sequela.ground.paths import DATA_VARIABLE

FEWSHOT_SEED = 1234
"""The harness's own default seed; our tasks take the first worked examples and don't draw."""


@dataclass(frozen=True)
class HarnessTask:
    """A task of the harness with its data, ready to run.

    Args:
        name: The stock name; with a suffix where data or worked examples are not the standard ones.
        stock_name: The name in the harness.
        stock_version: The version that the harness gives the task.
        shots: How many worked examples stand before each question.
        departure: How the data differ from the official release; empty if they don't.
        n_items: How many items the test split has.
        n_run: How many of them, from the first on, are run.
        task: The harness's object.
        content: A hash of definition, settings and items.
    """

    name: str
    stock_name: str
    stock_version: str
    shots: int
    departure: str
    n_items: int
    n_run: int
    task: ConfigurableTask
    content: str


def build_task(
    entry: CatalogEntry,
    subject: str | None = None,
    limit: int | None = None,
    shots: int | None = None,
    max_new_tokens: int | None = None,
) -> HarnessTask:
    """Builds one task.

    Args:
        entry: Which.
        subject: The subject, for MMLU.
        limit: How many items to run, from the first on; all if None.
        shots: How many worked examples; the standard number if None.
        max_new_tokens: Where a written answer ends; for tasks that generate.

    Raises:
        SequelaError: The data are neither in the user's folder nor to be had from the hub.
    """
    definition = read_definition(entry.definition.format(subject=subject))
    stock_name = str(definition["task"])
    shots = entry.shots if shots is None else shots
    data = read_local(entry.name, subject)
    departure = data.departure if data else ""
    name = task_name(stock_name, entry, shots, departure)
    definition |= {"task": name, "num_fewshot": shots, "training_split": None}
    if max_new_tokens is not None:
        settings = {**definition["generation_kwargs"], "max_gen_toks": max_new_tokens}
        definition["generation_kwargs"] = settings
    rows = _data_set(definition, data)

    def custom_dataset(**_: Any) -> datasets.DatasetDict:
        return rows

    with quiet_harness():
        task = ConfigurableTask(config={**resolved(definition), "custom_dataset": custom_dataset})
    task.set_fewshot_seed(FEWSHOT_SEED)
    documents = task.eval_docs
    n_run = len(documents) if limit is None else min(limit, len(documents))
    return HarnessTask(
        name=name,
        stock_name=stock_name,
        stock_version=str(definition["metadata"]["version"]),
        shots=shots,
        departure=departure,
        n_items=len(documents),
        n_run=n_run,
        task=task,
        content=_content(definition, rows, documents.select(range(n_run))),
    )


def task_name(stock_name: str, entry: CatalogEntry, shots: int, departure: str = "") -> str:
    """The stock name, with a suffix where the score is not the one that leaderboards mean by it."""
    changed_shots = "" if shots == entry.shots else f"_{shots}shot"
    changed_data = "_local" if departure else ""
    return f"{stock_name}{changed_shots}{changed_data}"


def _data_set(definition: dict[str, Any], data: LocalData | None) -> datasets.DatasetDict:
    if data is not None:
        return datasets.DatasetDict(
            {split: datasets.Dataset.from_list(rows) for split, rows in data.splits.items()}
        )
    path, name = definition["dataset_path"], definition.get("dataset_name")
    with hub_access() as reachable:
        try:
            return datasets.load_dataset(path, name)
        except (OSError, ValueError) as error:  # no network, no such data set, no permission
            raise SequelaError(
                f"The data set {path!r} ({name}) for the task {definition['task']!r} can't be had: "
                f"{unreachable_because(error, reachable)}.",
                hint=f"Connect to the network (some data sets need `hf auth login`), or set {DATA_VARIABLE} "
                "to a folder that has the data.",
            ) from error


def _content(definition: dict[str, Any], rows: datasets.DatasetDict, documents: datasets.Dataset) -> str:
    examples = definition.get("fewshot_split")
    return hash_json(
        {
            "harness": installed_version("lm-eval"),
            "definition": _plain(definition),
            "items": documents.to_list(),
            "examples": rows[examples].to_list() if examples else [],
        }
    )


def _plain(value: Any) -> Any:
    if isinstance(value, StockFunction):
        return dataclasses.asdict(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
