"""Packages whose public names are imported when they are first used (PEP 562).

Importing a module imports its package first. A package that imported all its public names would load PyTorch
even for its lightest module, and a command that prints a list or checks a study file would wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns a package's `__getattr__` and `__dir__`.

    The package imports the names for type checkers itself, under `TYPE_CHECKING`.

    Args:
        package: The package, its `__name__`.
        names: By module, the public names that the package takes from it. A name must not be that of a
            submodule, since importing the submodule would overwrite it.
    """
    modules = {name: module for module, group in names.items() for name in group}

    def get(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(modules[name]), name)

    def listed() -> list[str]:
        return sorted(modules)

    return get, listed
