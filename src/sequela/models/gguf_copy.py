"""The copy of a GGUF file that is kept for fast loading: what says that it is one, and whole."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from sequela.core.hashing import sha256_of_file

MARKER = "copy.json"


class CopyMarker(BaseModel):
    """What `copy.json` says of the folder it stands in.

    Args:
        gguf_sha256: The file that the copy was made from.
        transformers_version: Whose reader made it.
        files: The hash of every other file of the folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gguf_sha256: str
    transformers_version: str
    files: dict[str, str]


def copy_is_whole(folder: Path, gguf_sha256: str) -> bool:
    """Whether a folder holds an undamaged copy of that GGUF file."""
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
        return CopyMarker.model_validate(json.loads((folder / MARKER).read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError, ValidationError):
        return None
