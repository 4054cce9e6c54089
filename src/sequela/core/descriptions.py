"""Small JSON files that several packages store next to their data: descriptions of it.

Each has a digest (`core/digests.py`), which is checked when the file is read. Files of earlier versions have
none and are read as they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from sequela.core.damaged_files import DAMAGED_HINT, naming_file
from sequela.core.digests import DIGEST, digest_holds, digest_of, without_digest
from sequela.core.errors import BadInputError, IntegrityError, SequelaError
from sequela.core.paths import replacing

M = TypeVar("M", bound=BaseModel)

EDITED_HINT = f"If you changed the file yourself, remove its field `{DIGEST}`."
"""The advice about a document whose digest differs."""


def is_unchanged(content: Mapping[str, Any]) -> bool:
    """Returns whether a document is as it was written, as far as its digest shows; earlier ones have none."""
    return DIGEST not in content or digest_holds(content)


def write_description(path: Path, description: BaseModel) -> None:
    """Writes a description as JSON with its digest; a reader sees the old file or the complete new one.

    Raises:
        CantWriteError: The system refuses to write.
    """
    content = json.loads(description.model_dump_json())
    content[DIGEST] = digest_of(content)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_description_of(
    path: Path,
    kind: type[M],
    what: str,
    *,
    error: type[SequelaError] = BadInputError,
    hint: str = DAMAGED_HINT,
) -> M:
    """Reads a description back.

    Args:
        path: The file.
        kind: The model class of the description.
        what: The name of the described object in messages, such as `delta` or `trained editor`.
        error: The class of the error if the file is no such description.
        hint: What to do if the file is damaged.

    Raises:
        BadInputError: The file is missing or is not such a description; the latter is of class `error`.
        IntegrityError: It was changed after it was written.
    """
    if not path.is_file():
        raise BadInputError(
            f"{path.parent} holds no {what}: {path.name} is missing.", hint=f"Name a folder with {what}."
        )
    with naming_file(path, f"the description of {what}", error, hint=hint):
        return kind.model_validate(read_document(path, hint))


def read_document(path: Path, hint: str = DAMAGED_HINT) -> Any:
    """Returns the content of a JSON file without its digest, which is checked.

    Raises:
        IntegrityError: The file was changed after it was written.
        OSError: It can't be read.
        ValueError: It is not JSON.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        return content
    if not is_unchanged(content):
        raise IntegrityError(
            f"{path} was changed after it was written: its digest differs.", hint=f"{hint} {EDITED_HINT}"
        )
    return without_digest(content)
