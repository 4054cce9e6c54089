"""The edit sources by name, both built in and provided by installed packages.

A package provides a source through the entry-point group `sequela.edit_sources`, which names its `Source`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from types import MappingProxyType

from sequela.core.arguments import as_path_text, check_path, check_text
from sequela.core.errors import BadInputError, UnknownNameError
from sequela.core.paths import user_path
from sequela.core.registry import SEQUELA, Listed, Registry, instance_of
from sequela.edits.edit_set import EditSet
from sequela.edits.sources.builtin import BUILTIN_SOURCE
from sequela.edits.sources.counterfact import COUNTERFACT_SOURCES
from sequela.edits.sources.hub import check_within_reach
from sequela.edits.sources.jsonl import JSONL_SOURCE
from sequela.edits.sources.knowedit import KNOWEDIT_SOURCES
from sequela.edits.sources.source import Source
from sequela.edits.sources.zsre import ZSRE_SOURCES

SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        source.name: source
        for source in (
            BUILTIN_SOURCE,
            *COUNTERFACT_SOURCES,
            *ZSRE_SOURCES,
            *KNOWEDIT_SOURCES,
            JSONL_SOURCE,
        )
    }
)
"""The sources that come with Sequela, by name."""

SOURCE_REGISTRY = Registry(
    kind="edit source",
    group="sequela.edit_sources",
    built_in=lambda: SOURCES,
    check=instance_of(Source),
    expected="a `sequela.edits.Source`",
)
"""The registry of edit sources."""

CHECKED_BYTES = 12 * 2**20
"""The size of a file up to which `check_source` reads it, which takes about half a second."""

COMPRESSION = 12
"""About how many times larger the text of a compressed file is."""

_OWN_FILE_PREFIX = "jsonl:"
_OWN_FILE_ENDINGS = (".jsonl", ".json", ".jsonl.gz", ".json.gz")


@dataclass(frozen=True)
class SourceDescription:
    """A source's entry in a listing.

    Args:
        name: The name of the source.
        about: A one-line description.
        license: The terms of its data.
        location: The place it would be loaded from now.
        is_local: True if loading it needs no network.
        origin: The distribution that the source comes from, with its version if it isn't Sequela.
        problem: The reason why it can't be used; empty if it can.
    """

    name: str
    about: str
    license: str
    location: str
    is_local: bool
    origin: str = str(SEQUELA)
    problem: str = ""


def load_edits(
    source: str | PathLike[str], path: str | PathLike[str] | None = None, limit: int | None = None
) -> EditSet:
    """Loads edits by the name of their source.

    Args:
        source: A name of `SOURCE_REGISTRY`, or the user's own file: `jsonl:FILE`, or any text that
            ends in `.jsonl` or `.json`, or a path object.
        path: A file in the named source's schema, instead of the published one.
        limit: The number of edits to keep, from the first on; all if None. All records are
            checked in any case.

    Returns:
        The edits. If a published data set has records that can't be used as edits, `skipped`
        lists them, and the caller has to report them.

    Raises:
        UnknownNameError: No source has that name.
        BadInputError: A record is invalid (named by file and record number), there are fewer than `limit`,
            or an argument is of a wrong type.
        SequelaError: The data can't be found or downloaded.
    """
    entry, file = _find(source, path)
    edits = entry.load(file)
    return edits if limit is None else edits.first(limit)


def check_source(source: str | PathLike[str], path: str | PathLike[str] | None = None) -> EditSet | None:
    """Checks the arguments of `load_edits`, and the edits themselves if they can be read in a moment.

    Args:
        source: As for `load_edits`.
        path: As for `load_edits`.

    Returns:
        The edits; None if they are on the hub or in a large file.

    Raises:
        UnknownNameError: No source has that name.
        BadInputError: The user's own file is missing, or a record is invalid.
        SequelaError: The data are neither in a local file nor within reach on the hub.
    """
    entry, file = _find(source, path)
    if file is not None and not file.is_file():
        raise BadInputError(f"Can't read {file}: the file does not exist.")
    local = file or entry.local_file()
    if local is None:
        check_within_reach(entry.on_hub())
        return None
    size = local.stat().st_size * (COMPRESSION if local.suffix == ".gz" else 1)
    return entry.load(file) if size <= CHECKED_BYTES else None


def describe_sources() -> tuple[SourceDescription, ...]:
    """Returns the sources and the place each would be loaded from now, without reading data."""
    return tuple(_describe(listed) for listed in SOURCE_REGISTRY.listed())


def _describe(listed: Listed[Source]) -> SourceDescription:
    source, origin = listed.value, str(listed.origin)
    if source is None:
        return SourceDescription(listed.name, "", "", "", False, origin, listed.problem)
    local = source.local_file()
    if source.package_file is not None:
        location = f"comes with {'Sequela' if listed.origin == SEQUELA else origin}"
    elif local is not None:
        location = str(local)
    elif source.hub is not None:
        location = source.hub.location
    else:
        location = "SEQUELA_DATA" if source.files else "your file"
    return SourceDescription(
        name=source.name,
        about=source.about,
        license=source.license,
        location=location,
        is_local=local is not None or not source.files,
        origin=origin,
    )


def _find(source: str | PathLike[str], path: str | PathLike[str] | None) -> tuple[Source, Path | None]:
    """Returns the source of a name, and the user's file that it reads, if it reads one.

    Raises:
        UnknownNameError: No source has that name.
        BadInputError: The package that provides it can't be used.
    """
    if isinstance(source, PathLike):
        source = f"{_OWN_FILE_PREFIX}{as_path_text(source)}"
    check_text("source", source, "the name of an edit source, or of a file")
    file = None if path is None else check_path("path", path)
    if source in SOURCE_REGISTRY.names():
        return SOURCE_REGISTRY.get(source), file
    if file is None and (source.startswith(_OWN_FILE_PREFIX) or source.endswith(_OWN_FILE_ENDINGS)):
        file = user_path(source.removeprefix(_OWN_FILE_PREFIX))
        return replace(JSONL_SOURCE, name=file.name), file
    raise UnknownNameError(SOURCE_REGISTRY.noun, source, SOURCE_REGISTRY.names())
