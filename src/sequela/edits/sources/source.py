"""An edit source: the location of its records, and their conversion to edits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sequela.core.errors import SequelaError
from sequela.core.paths import DATA_VARIABLE, data_folder
from sequela.edits.edit_set import EditSet
from sequela.edits.sources.hub import HubFile, HubTable
from sequela.edits.sources.records import Parse, RecordFile, collect_edits, read_records


@dataclass(frozen=True)
class Source:
    """A named edit source.

    Args:
        name: The name of the source.
        about: A one-line description.
        license: The terms of its data.
        parse: Converts one record to an edit.
        files: Its files below the folder `SEQUELA_DATA`, each with or without `.gz`;
            the first that exists takes precedence over the hub.
        hub: Its location on the Hugging Face hub, if it is there.
        package_file: A file that comes with Sequela and needs neither folder nor hub.
    """

    name: str
    about: str
    license: str
    parse: Parse
    files: tuple[str, ...] = ()
    hub: HubFile | HubTable | None = None
    package_file: Path | None = None

    def load(self, path: Path | None = None) -> EditSet:
        """Loads all edits.

        Args:
            path: The user's own file in this schema, in which every record must be usable.
                Without one, the published file is loaded, and records that can't be used
                are listed in the set's `skipped`.

        Raises:
            BadInputError: A record is invalid; the message names file and record number.
            SequelaError: The data can't be found or downloaded.
        """
        own = path or self.package_file
        if own is not None:
            return collect_edits(self.name, read_records(own), self.parse, strict=True)
        return collect_edits(self.name, self._published(), self.parse, strict=False)

    def local_file(self) -> Path | None:
        """Returns the file below `SEQUELA_DATA` (or in the package) that `load` would read."""
        if self.package_file is not None:
            return self.package_file
        folder = data_folder()
        if folder is None:
            return None
        for name in self.files:
            for candidate in (folder / name, folder / f"{name}.gz"):
                if candidate.is_file():
                    return candidate
        return None

    def _published(self) -> RecordFile:
        local = self.local_file()
        if local is not None:
            return read_records(local)
        return self.on_hub().load()

    def on_hub(self) -> HubFile | HubTable:
        """Returns the location on the hub, which the source needs if there is no local file.

        Raises:
            SequelaError: It isn't on the hub.
        """
        if self.hub is not None:
            return self.hub
        if not self.files:
            raise SequelaError(
                f"The edit source {self.name!r} reads your own file, but no file was given.",
                hint="Name it, for example jsonl:facts.jsonl; `sequela edits --example` prints an example.",
            )
        raise SequelaError(
            f"The edit source {self.name!r} is not on the hub, and no local file was found.",
            hint=f"Set {DATA_VARIABLE} to a folder with {' or '.join(self.files)}, compressed (.gz) or not.",
        )
