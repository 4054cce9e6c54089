"""The path by which tests reach the benchmarks' code."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SUPPORT = Path(__file__).parents[2] / "benchmarks" / "support"


@pytest.fixture(scope="session")
def benchmark_support() -> Callable[[str], ModuleType]:
    """Loads a module by its path: `benchmarks` is no package, and the name `support` is the tests' own."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", SUPPORT / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load
