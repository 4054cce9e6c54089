"""The marker of a dequantized copy of a GGUF file, which proves that the copy is complete."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sequela.core.descriptions import read_description_of
from sequela.core.errors import BadInputError, IntegrityError
from sequela.core.hashing import sha256_of_file

MARKER = "copy.json"


class CopyMarker(BaseModel):
    """The content of `copy.json` in the folder of a copy.

    Args:
        gguf_sha256: The hash of the GGUF file.
        transformers_version: The version of transformers that read the GGUF file.
        files: The hash of every other file in the folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gguf_sha256: str
    transformers_version: str
    files: dict[str, str]


def copy_is_whole(folder: Path, gguf_sha256: str) -> bool:
    """Returns whether a folder contains an undamaged copy of a GGUF file."""
    marker = _read_marker(folder)
    return (
        marker is not None
        and marker.gguf_sha256 == gguf_sha256
        and all(
            (folder / name).is_file() and sha256_of_file(folder / name) == sha256
            for name, sha256 in marker.files.items()
        )
    )


def _read_marker(folder: Path) -> CopyMarker | None:
    try:
        return read_description_of(folder / MARKER, CopyMarker, "copy of a GGUF file")
    except (BadInputError, IntegrityError):  # missing or damaged; the copy is then created again
        return None
