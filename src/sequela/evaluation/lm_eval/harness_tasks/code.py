"""What in a definition of the harness runs Python code, or names code to be run.

A definition is data, and most need no code but the harness's own. The rest is run only with permission. Tags
and keys are read with the YAML parser, as the harness reads them, since one tag can be written in many ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from sequela.core.errors import BadInputError
from sequela.core.text_files import read_text
from sequela.core.yaml_files import MAX_YAML
from sequela.evaluation.lm_eval.catalog import definitions_folder
from sequela.evaluation.lm_eval.harness_tasks.index import FunctionName, definition_files, read_whole

_REGISTERED = re.compile(r"""@register_metric\(\s*metric\s*=\s*["'](\w+)["']""")

_UNSAFE_LOADERS = frozenset({"cache", "eval", "generator", "pandas", "spark", "sql", "webdataset"})
"""Loaders of the `datasets` library that read pickles, run queries or call functions."""


def writes_code(definition: Mapping[str, Any]) -> bool:
    """Returns whether the task runs code that the model writes."""
    return any(value is not False for value in _values(definition, "unsafe_code"))


def loads_by_code(definition: Mapping[str, Any]) -> bool:
    """Returns whether the data set is loaded by Python code of its repository."""
    return any(_values(definition, "trust_remote_code"))


def foreign_code(path: Path) -> list[str]:
    """Returns descriptions of the code from outside the harness that a definition names.

    Args:
        path: The definition's file.

    Raises:
        BadInputError: The file, or one that it includes, can't be read.
    """
    files = tuple(definition_files(path))
    found = [f"the function {name}" for file in files for name in _foreign_functions(file)]
    definition = read_whole(path)
    found += _metrics_from_outside(definition)
    if all(_of_harness(file) for file in files):
        return found
    if "class" in definition:
        found.append(f"the class {definition['class']}")
    prompt = definition.get("use_prompt")
    if prompt and not str(prompt).startswith("qa-basic:"):
        found.append(f"the prompts {prompt}")
    data = str(definition.get("dataset_path") or "")
    if data.endswith(".py") or data in _UNSAFE_LOADERS or _has_script(Path(data)):
        found.append(f"the data set script {data}")
    return found


def _metrics_from_outside(definition: Mapping[str, Any]) -> Iterator[str]:
    """Yields the metrics that the harness would load as scripts, from the hub or from a path."""
    metrics = definition.get("metric_list")
    computed = definition.get("process_results") is not None  # then the names are only labels
    for entry in metrics if isinstance(metrics, list) and not computed else []:
        if not isinstance(entry, Mapping):
            continue
        name = entry.get("metric")
        from_hub = bool(entry.get("hf_evaluate"))
        if from_hub or not (isinstance(name, FunctionName) or name in _registered_metrics()):
            yield f"the metric {name}"


@lru_cache(maxsize=1)
def _registered_metrics() -> frozenset[str]:
    """Returns the names of the harness's own metrics, without importing it."""
    text = (definitions_folder().parent / "api" / "metrics.py").read_text(encoding="utf-8")
    return frozenset(_REGISTERED.findall(text))


def _has_script(folder: Path) -> bool:
    """Returns whether a data set is a folder of this machine with Python files in it."""
    return folder.expanduser().is_dir() and any(folder.expanduser().glob("*.py"))


def _of_harness(file: Path) -> bool:
    return file.resolve().is_relative_to(definitions_folder().parent.resolve())


def _foreign_functions(file: Path) -> list[str]:
    """Returns the functions of a definition that don't come with the harness."""
    return [name for name in _functions(file) if not _comes_with_harness(file, name)]


def _comes_with_harness(file: Path, name: str) -> bool:
    module = name.rpartition(".")[0]
    beside = file.parent / f"{module.replace('.', '/')}.py"  # the harness prefers this file
    if _of_harness(file):
        return beside.is_file() or module.startswith("lm_eval.")
    tasks = definitions_folder()
    within = tasks.parent.parent / f"{module.replace('.', '/')}.py"
    return not beside.is_file() and within.is_file() and within.resolve().is_relative_to(tasks.resolve())


def _functions(file: Path) -> list[str]:
    """Returns the functions that a file refers to by the tag `!function`."""
    try:
        root = yaml.compose(read_text(file, limit=MAX_YAML), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, BadInputError, RecursionError) as error:
        raise BadInputError(f"{file} can't be read as a task definition: {error}.") from error
    found: list[str] = []
    seen: set[int] = set()
    waiting: list[Any] = [root]
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode) and node.tag == "!function":
            found.append(str(node.value))
        elif isinstance(node, yaml.SequenceNode):
            waiting += reversed(node.value)
        elif isinstance(node, yaml.MappingNode):
            waiting += [part for pair in reversed(node.value) for part in reversed(pair)]
    return found


def _values(value: Any, key: str) -> Iterator[Any]:
    """Yields the values of a key anywhere in a definition."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from _values(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, key)
