"""Every name that is imported from the package exists; type checkers can't check lazy names."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NEEDS_MORE = ("vllm", "sequela_example_plugin")
"""Parts of module names that can't be imported in the tests' environment."""


def imported_names(path: Path) -> set[tuple[str, str]]:
    """Returns the names that a file imports from modules of `sequela`, each with its module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "sequela"
        for alias in node.names
    }


def exists(module: str, name: str) -> bool:
    if hasattr(importlib.import_module(module), name):
        return True
    try:
        importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        return False
    return True


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks", "examples"])
def test_every_imported_name_exists(folder: str) -> None:
    found = {
        (module, name): path.relative_to(ROOT)
        for path in sorted((ROOT / folder).rglob("*.py"))
        for module, name in imported_names(path)
        if not any(part in module for part in NEEDS_MORE)
    }
    assert found
    missing = [
        f"{path}: {module}.{name}" for (module, name), path in found.items() if not exists(module, name)
    ]
    assert missing == []
