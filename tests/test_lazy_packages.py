"""Packages import their names on first use; type checkers read the same names in `__init__.pyi`."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import sequela

SOURCE = Path(sequela.__file__).parent
LAZY = sorted(
    ".".join(("sequela", *p.parent.relative_to(SOURCE).parts)) for p in SOURCE.rglob("__init__.pyi")
)


def test_there_are_such_packages() -> None:
    assert {"sequela", "sequela.editors", "sequela.models"} <= set(LAZY)


@pytest.mark.parametrize("name", LAZY)
def test_every_name_it_offers_exists(name: str) -> None:
    package = importlib.import_module(name)
    assert package.__all__
    assert sorted(package.__all__) == dir(package)
    for offered in package.__all__:
        assert hasattr(package, offered), offered


def test_importing_the_package_imports_none_of_its_modules() -> None:
    program = "import sys, sequela.editors, sequela.models; print('torch' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert answer.stdout.strip() == "False"


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = importlib.import_module("sequela.editors").no_such_name
