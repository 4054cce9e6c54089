"""One place edits come from: where its records are, and how they become edits."""

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
        name: What a user calls it.
        about: What it is, in one line.
        license: The terms of its data.
        parse: Makes an edit of one record.
        files: Its files below the folder `SEQUELA_DATA`, each with or without `.gz`;
            the first that exists wins over the hub.
        hub: Where it is on the Hugging Face hub, if it is there.
        package_file: A file that comes with Sequela; it needs neither folder nor hub.
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
            path: The user's own file of this schema; every record of it must be usable.
                Without one, the published file is loaded, and records that can't be edits
                are listed in the set's `skipped`.

        Raises:
            BadInputError: A record is wrong; named by file and record number.
            SequelaError: The data is nowhere to be had.
        """
        own = path or self.package_file
        if own is not None:
            return collect_edits(self.name, read_records(own), self.parse, strict=True)
        return collect_edits(self.name, self._published(), self.parse, strict=False)

    def local_file(self) -> Path | None:
        """The file below `SEQUELA_DATA` (or in the package) that `load` would read."""
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
        if self.hub is not None:
            return self.hub.load()
        if not self.files:
            raise SequelaError(
                f"The edit source {self.name!r} reads your own file, and none was named.",
                hint="Name it, for example jsonl:facts.jsonl; `sequela edits --example` prints a line of it.",
            )
        raise SequelaError(
            f"The edit source {self.name!r} is not on the hub, and no local file was found.",
            hint=f"Set {DATA_VARIABLE} to a folder that has {' or '.join(self.files)} (.gz will do).",
        )
