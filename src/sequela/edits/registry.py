"""The edit sources by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from sequela.core.errors import BadInputError, UnknownNameError
from sequela.edits.edit_set import EditSet
from sequela.edits.sources.builtin import BUILTIN_SOURCE
from sequela.edits.sources.counterfact import COUNTERFACT_SOURCES
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

_OWN_FILE_PREFIX = "jsonl:"
_OWN_FILE_ENDINGS = (".jsonl", ".json", ".jsonl.gz", ".json.gz")


@dataclass(frozen=True)
class SourceDescription:
    """A line of the listing of sources.

    Args:
        name: What to call it.
        about: What it is.
        license: The terms of its data.
        location: Where it would be loaded from now.
        is_local: Whether that needs no network.
    """

    name: str
    about: str
    license: str
    location: str
    is_local: bool


def load_edits(source: str, path: Path | None = None, limit: int | None = None) -> EditSet:
    """Loads edits by the name of their source.

    Args:
        source: A name of `SOURCES`, or the user's own file: `jsonl:FILE`, or any text that
            ends in `.jsonl` or `.json`.
        path: A file in the named source's schema, instead of the published one.
        limit: How many edits to keep, from the first; all if None. All records are
            checked in any case.

    Returns:
        The edits. Where a published data set has records that can't be edits, `skipped`
        lists them, and the caller has to say so.

    Raises:
        UnknownNameError: No source has that name.
        BadInputError: A record is wrong (named by file and record number), or there are
            fewer than `limit`.
        SequelaError: The data is nowhere to be had.
    """
    found, file = _find(source, path)
    edits = found.load(file)
    return edits if limit is None else edits.first(limit)


def check_source(source: str, path: Path | None = None) -> None:
    """Refuses what `load_edits` would refuse, as far as that is seen without reading any edits.

    Args:
        source: As for `load_edits`.
        path: As for `load_edits`.

    Raises:
        UnknownNameError: No source has that name.
        BadInputError: The user's own file is missing.
    """
    _, file = _find(source, path)
    if file is not None and not file.is_file():
        raise BadInputError(f"Can't read {file}: there is no such file.")


def describe_sources() -> tuple[SourceDescription, ...]:
    """What sources there are, and where each would be loaded from now; reads no data."""
    return tuple(_describe(source) for source in SOURCES.values())


def _describe(source: Source) -> SourceDescription:
    local = source.local_file()
    if source.package_file is not None:
        location = "comes with Sequela"
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
    )


def _find(source: str, path: Path | None) -> tuple[Source, Path | None]:
    """The source that a name means, and the user's file that it reads, if it reads one.

    Raises:
        UnknownNameError: No source has that name.
    """
    if source in SOURCES:
        return SOURCES[source], path
    if path is None and (source.startswith(_OWN_FILE_PREFIX) or source.endswith(_OWN_FILE_ENDINGS)):
        file = Path(source.removeprefix(_OWN_FILE_PREFIX)).expanduser()
        return replace(JSONL_SOURCE, name=file.name), file
    raise UnknownNameError("edit source", source, SOURCES)
