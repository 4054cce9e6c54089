"""The description of an object, `object.json`: written last, it makes the object's files an object."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from sequela import __version__
from sequela.core.errors import BadInputError, IntegrityError
from sequela.core.hashing import sha256_of_file
from sequela.core.plain_values import can_be_encoded
from sequela.core.validation import in_words
from sequela.store.address import Address, Kind
from sequela.store.documents import canonical, checked_content, with_digest

DESCRIPTION = "object.json"
"""The name of the file with the description."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredFile(_Stored):
    """A file of an object.

    Args:
        name: The path within the object's folder, with `/` between its parts.
        size: The size in bytes.
        sha256: The SHA-256 of the content, in hexadecimal.
    """

    name: str
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @field_validator("name")
    @classmethod
    def _inside(cls, name: str) -> str:
        if not is_inside(name):
            raise ValueError(f"{name!r} is not the name of a file within a folder")
        return name


class Description(_Stored):
    """The description of an object.

    Args:
        version: The version of the format.
        kind: The kind of the object.
        key: The key of the object.
        about: What the key was computed from, for people to read.
        folder: The folder, beside the description, that has the files. Each upload to a remote store has a
            folder of its own, so that two of them never mix.
        files: The files, ordered by name.
        created: The time when the object was made, by the clock of the machine that made it.
        sequela: The version of Sequela that made it.
    """

    version: int
    kind: Kind
    key: str
    about: dict[str, Any]
    folder: Annotated[str, Field(pattern=r"^[a-z0-9]{1,64}$")]
    files: tuple[StoredFile, ...]
    created: AwareDatetime
    sequela: str

    @property
    def address(self) -> Address:
        """The address of the object."""
        return Address(self.kind, self.key)

    @property
    def size(self) -> int:
        """The size of all files, in bytes."""
        return sum(file.size for file in self.files)

    @property
    def content(self) -> str:
        """A digest of the names and contents of the files, by which two objects are compared."""
        files = {file.name: file.sha256 for file in self.files}
        return hashlib.sha256(canonical(files)).hexdigest()


def describe(address: Address, about: Mapping[str, Any], root: Path, folder: str) -> bytes:
    """Returns the description of the files in a folder, as a document.

    Args:
        address: The address of the object.
        about: What its key was computed from.
        root: The folder in which the description will be.
        folder: The name of the folder in it that has the files.

    Raises:
        BadInputError: `about` is not JSON, or the folder has something that is not a plain file or folder.
    """
    content = {
        "kind": address.kind.value,
        "key": address.key,
        "about": json.loads(canonical(dict(about))),
        "folder": folder,
        "files": [file.model_dump() for file in _files_in(root / folder)],
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "sequela": __version__,
    }
    return with_digest(content)


def read_description(data: bytes, address: Address) -> Description:
    """Returns the description in a document.

    Args:
        data: The document.
        address: The address at which it was found.

    Raises:
        IntegrityError: It is damaged, or that of another object.
        NewerStoreError: It was written by a later version of Sequela.
    """
    where = f"{address}/{DESCRIPTION}"
    content = checked_content(data, where)
    try:
        description = Description.model_validate(content)
    except ValidationError as error:
        raise IntegrityError(f"{where} can't be read: {in_words(error)}.") from error
    if (description.kind, description.key) != (address.kind, address.key):
        raise IntegrityError(f"{where} describes another object, {description.kind}/{description.key}.")
    return description


def is_inside(name: str) -> bool:
    """Returns whether a name, with `/` between its parts, can't lead out of the folder that it is in."""
    parts = name.split("/")
    return (
        all(part not in ("", ".", "..") for part in parts)
        and not any(character in name for character in "\\\0")
        and can_be_encoded(name)
    )


def _files_in(folder: Path) -> list[StoredFile]:
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        mode = path.lstat().st_mode
        if not is_inside(name) or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise BadInputError(f"{name!r} can't be part of an object: only plain files and folders can.")
        if stat.S_ISREG(mode):
            found.append(StoredFile(name=name, size=path.stat().st_size, sha256=sha256_of_file(path)))
    return found
