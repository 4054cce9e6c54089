"""The facts about the machine that results may state."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType


def test_paths_are_told_without_their_folders(benchmark_support: Callable[[str], ModuleType]) -> None:
    reported = benchmark_support("machine").without_folders
    assert reported(Path("/somewhere/rome")) == "rome"
    assert reported([Path("/somewhere/rome"), "text", 4]) == ["rome", "text", 4]
    assert reported(None) is None
