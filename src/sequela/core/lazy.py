"""Packages whose public names are imported when they are first used (PEP 562).

Importing a module imports its package first. A package that imported all it offers would so load PyTorch
for the lightest of its modules; a list that is printed, or a study file that is checked, would wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A package's `__getattr__` and `__dir__`.

    What type checkers are to know of the names stands beside the call, under `TYPE_CHECKING`.

    Args:
        package: The package, its `__name__`.
        names: By module, the names that the package offers of it. A name must not be that of a submodule,
            which Python would put in its place once that is imported.
    """
    homes = {name: module for module, some in names.items() for name in some}

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    def listed() -> list[str]:
        return sorted(homes)

    return get, listed
