"""Public data sets on the Hugging Face hub.

Downloads go to the hub's own cache and work offline afterwards. Repositories and layouts are
taken from the data set cards; loading has not been tested against the live hub. Only the error
without a network has been tested.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from sequela.core.errors import SequelaError
from sequela.core.hub import OUT_OF_REACH, hub_access, out_of_reach, unreachable_because
from sequela.core.paths import DATA_VARIABLE
from sequela.edits.sources.records import Record, RecordFile, read_records


@dataclass(frozen=True)
class HubFile:
    """One JSON file of a data set repository.

    Args:
        repository: The repository's id.
        file: The file's path in it.
    """

    repository: str
    file: str

    @property
    def location(self) -> str:
        """The name of the file in messages."""
        return f"hub:{self.repository}/{self.file}"

    def load(self) -> RecordFile:
        """Downloads the file, or reads it from the hub's cache.

        Raises:
            SequelaError: The file can't be downloaded.
        """
        from huggingface_hub import hf_hub_download

        with hub_access() as reachable:
            try:
                path = hf_hub_download(self.repository, self.file, repo_type="dataset")
            except OSError as error:
                raise _not_loaded(self.location, unreachable_because(error, reachable)) from error
        return replace(read_records(Path(path)), origin=self.location)


@dataclass(frozen=True)
class HubTable:
    """The rows of a data set's splits, in the order of one column.

    Args:
        repository: The repository's id.
        splits: The splits, joined by `+`, such as `train+test`.
        order: The column whose numbers give the published order, which is lost in the splits.
    """

    repository: str
    splits: str
    order: str

    @property
    def location(self) -> str:
        """The name of the table in messages."""
        return f"hub:{self.repository}"

    def load(self) -> RecordFile:
        """Downloads the table, or reads it from the hub's cache.

        Raises:
            SequelaError: The table can't be downloaded.
        """
        import datasets

        with hub_access() as reachable:
            try:
                table = datasets.load_dataset(self.repository, split=self.splits)
            except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
                raise _not_loaded(self.location, unreachable_because(error, reachable)) from error
        rows = sorted(table, key=lambda row: int(row[self.order]))
        return RecordFile(self.location, tuple(Record(number, row) for number, row in enumerate(rows, 1)))


def check_within_reach(source: HubFile | HubTable) -> None:
    """Checks that a source's data may be available, without loading the hub's libraries.

    Raises:
        SequelaError: They are not in the cache, and the hub can't be reached.
    """
    if out_of_reach([source.repository]):
        raise _not_loaded(source.location, OUT_OF_REACH)


def _not_loaded(location: str, reason: str) -> SequelaError:
    return SequelaError(
        f"Can't load {location}: {reason}.",
        hint=f"Without a network, set {DATA_VARIABLE} to a folder that has the data set, "
        "or use the edit source 'builtin'.",
    )
