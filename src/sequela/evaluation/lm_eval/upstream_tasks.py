"""Reads the harness's own task definitions: YAML with `include` and `!function`.

The harness's index of all its tasks takes ten seconds to build, and only a few files are needed.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sequela.core.errors import BadInputError, SequelaError
from sequela.evaluation.lm_eval.catalog import INSTALL_HINT, definitions_folder


@dataclass(frozen=True)
class UpstreamFunction:
    """A Python function of the harness that a definition refers to, not yet imported.

    Args:
        module: The module, e.g. `lm_eval.tasks.toxigen.utils`.
        name: The name of the function.
    """

    module: str
    name: str

    def load(self) -> Any:
        """Imports the function."""
        return getattr(importlib.import_module(self.module), self.name)


def read_definition(relative: str) -> dict[str, Any]:
    """Reads an upstream definition with everything it includes; its own keys take precedence.

    Args:
        relative: The path of the file below `lm_eval/tasks`.

    Returns:
        The definition, with functions as `UpstreamFunction`.

    Raises:
        BadInputError: The path leads out of the harness's folder.
        SequelaError: The installed harness doesn't have the file.
    """
    folder = definitions_folder()
    path = folder / relative
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BadInputError(
            f"The definition {relative!r} is outside of lm-evaluation-harness.",
            hint="A task file can include only definitions of the installed harness, such as "
            "`gsm8k/gsm8k-cot.yaml`.",
        )
    if path.is_dir():
        raise BadInputError(
            f"The definition {relative!r} is a folder of lm-evaluation-harness, not a file.",
            hint="Name a file below `lm_eval/tasks`, such as `gsm8k/gsm8k-cot.yaml`.",
        )
    if not path.is_file():
        raise SequelaError(
            f"The installed lm-evaluation-harness has no task definition {relative!r}.",
            hint=f"Install a version that has it: {INSTALL_HINT}",
        )
    return _read(path, folder)


def resolved(value: Any) -> Any:
    """Returns the definition with its functions imported."""
    if isinstance(value, UpstreamFunction):
        return value.load()
    if isinstance(value, dict):
        return {key: resolved(item) for key, item in value.items()}
    if isinstance(value, list):
        return [resolved(item) for item in value]
    return value


def _read(path: Path, folder: Path) -> dict[str, Any]:
    package = ".".join(("lm_eval", "tasks", *path.parent.relative_to(folder).parts))

    class Loader(yaml.SafeLoader):
        """A loader of YAML with `!function`; one class per file, as the constructor depends on the folder."""

    def upstream_function(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> UpstreamFunction:
        module, _, name = loader.construct_scalar(node).rpartition(".")
        return UpstreamFunction(f"{package}.{module}", name)

    Loader.add_constructor("!function", upstream_function)
    with path.open(encoding="utf-8") as stream:
        definition: dict[str, Any] = yaml.load(stream, Loader)
    included = definition.pop("include", [])
    merged: dict[str, Any] = {}
    for name in [included] if isinstance(included, str) else included:
        merged.update(_read(path.parent / name, folder))
    return {**merged, **definition}
