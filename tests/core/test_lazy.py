"""Packages with lazy imports have the same public names at run time and for type checkers."""

from __future__ import annotations

import ast
import importlib
import sys
import types
from pathlib import Path

import pytest

import sequela
from sequela.core.lazy import lazy_names

LAZY = sorted(
    path
    for path in Path(sequela.__file__).parent.rglob("__init__.py")
    if "lazy_names(" in path.read_text(encoding="utf-8")
)


def package_of(path: Path) -> str:
    return ".".join(("sequela", *path.parent.relative_to(Path(sequela.__file__).parent).parts))


def test_there_are_such_packages() -> None:
    assert {"sequela", "sequela.editors", "sequela.models"} <= {package_of(path) for path in LAZY}


@pytest.mark.parametrize("path", LAZY, ids=package_of)
def test_the_public_names_are_those_for_type_checkers(path: Path) -> None:
    package = importlib.import_module(package_of(path))
    imported = {
        alias.name: node.module
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module not in ("typing", "sequela.core.lazy")
        for alias in node.names
    }
    assert sorted(imported) == sorted(package.__all__) == dir(package)
    for name, module in imported.items():
        assert module is not None
        assert getattr(package, name) is getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("path", LAZY, ids=package_of)
def test_no_name_is_that_of_a_submodule(path: Path) -> None:
    """Importing the submodule would overwrite the name."""
    package = importlib.import_module(package_of(path))
    inside = {child.stem for child in path.parent.iterdir() if child.suffix == ".py" or child.is_dir()}
    assert not inside & set(package.__all__)


def test_a_name_is_imported_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    package, home = types.ModuleType("lazy_package"), types.ModuleType("lazy_package.home")
    home.answer = 42  # type: ignore[attr-defined]
    get, listed = lazy_names(
        "lazy_package",
        {
            "lazy_package.home": (
                "answer",
                "missing",
            ),
        },
    )
    assert listed() == ["answer", "missing"]
    with pytest.raises(ModuleNotFoundError):
        get("answer")
    monkeypatch.setitem(sys.modules, "lazy_package", package)
    monkeypatch.setitem(sys.modules, "lazy_package.home", home)
    assert get("answer") == 42
    with pytest.raises(AttributeError, match="'lazy_package' has no attribute 'question'"):
        get("question")
