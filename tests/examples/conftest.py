"""Access to the examples, which are scripts and notebooks, not a package."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from support.tiny import tiny_module, tiny_tokenizer

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def rome_in_one_file() -> ModuleType:
    """`examples/rome_in_one_file.py`, imported by its path."""
    path = EXAMPLES / "rome_in_one_file.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Callable[[str], Path]:
    """Saves a tiny random model of a family to a folder, as `save_pretrained` does."""

    def save(family: str) -> Path:
        folder = tmp_path / family
        tiny_module(family).save_pretrained(folder)
        tiny_tokenizer(family).save_pretrained(folder)
        return folder

    return save
