"""Small JSON files that several packages store next to their data: descriptions of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from sequela.core.errors import BadInputError
from sequela.core.paths import replacing
from sequela.core.validation import in_words

M = TypeVar("M", bound=BaseModel)

DAMAGED_HINT = "Copy the whole folder again from where it was written, or create it again."
"""What to do about a folder that is incomplete or damaged."""


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
    try:
        return kind.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise BadInputError(
            f"{path.parent} holds no {what}: {path.name} is missing.", hint=f"Name a folder with {what}."
        ) from None
    except (ValidationError, ValueError, OSError) as error:  # not JSON, not text, or not a file
        reason = in_words(error) if isinstance(error, ValidationError) else error
        raise BadInputError(
            f"{path} can't be read as the description of {what}: {reason}.", hint=DAMAGED_HINT
        ) from error
