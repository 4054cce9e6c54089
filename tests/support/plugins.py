"""Installing a plug-in package for a test as pip does: its source and its metadata on the path."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"

EntryPoints = Mapping[str, Mapping[str, str]]
"""The names of each group, with the objects that they refer to."""

Install = Callable[..., None]
"""Installs a package: `install(entry_points, name="sequela-example-plugin", version="1.0.0")`."""


def declared_entry_points() -> EntryPoints:
    """Returns the entry points that the example's pyproject.toml declares."""
    text = (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")
    lines = re.findall(r'^"(sequela\.\w+)" = \{ (\S+) = "(\S+)" \}$', text, re.MULTILINE)
    return {group: {name: place} for group, name, place in lines}


def write_metadata(
    folder: Path, points: EntryPoints, name: str = "sequela-example-plugin", version: str = "1.0.0"
) -> None:
    """Writes the metadata of an installed package as pip does."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (info / "METADATA").write_text(metadata, encoding="utf-8")
    lines = [
        line
        for group, named in points.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in named.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def installer(tmp_path: Path, patch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Yields a function that installs packages until the test ends."""

    def install(points: EntryPoints, name: str = "sequela-example-plugin", version: str = "1.0.0") -> None:
        folder = tmp_path / f"site-{name}-{version}"
        write_metadata(folder, points, name, version)
        patch.syspath_prepend(str(EXAMPLE / "src"))
        patch.syspath_prepend(str(folder))

    yield install
    for module in [one for one in sys.modules if one.partition(".")[0] == "sequela_example_plugin"]:
        del sys.modules[module]
