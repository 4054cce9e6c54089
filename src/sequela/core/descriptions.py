"""Small JSON files that several packages store next to their data: descriptions of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from sequela.core.damaged_files import DAMAGED_HINT, naming_file
from sequela.core.errors import BadInputError
from sequela.core.paths import replacing

M = TypeVar("M", bound=BaseModel)


def write_description(path: Path, description: BaseModel) -> None:
    """Writes a description as JSON; a reader sees the old file or the complete new one."""
    with replacing(path) as temporary:
        temporary.write_text(description.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_description_of(path: Path, kind: type[M], what: str) -> M:
    """Reads a description back.

    Args:
        path: The file.
        kind: The model class of the description.
        what: The name of the described object in messages, such as `delta` or `trained editor`.

    Raises:
        BadInputError: The file is missing or is not such a description.
    """
    if not path.is_file():
        raise BadInputError(
            f"{path.parent} holds no {what}: {path.name} is missing.", hint=f"Name a folder with {what}."
        )
    with naming_file(path, f"the description of {what}", BadInputError, hint=DAMAGED_HINT):
        return kind.model_validate(json.loads(path.read_text(encoding="utf-8")))
