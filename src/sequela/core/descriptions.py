"""Small JSON files that several packages store next to their data: descriptions of it.

Each has a field `digest` over the others, which is checked when the file is read. It is `sha256:` and the
SHA-256 of the document without that field, written with sorted keys, without spaces and in ASCII:

    json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)

Files of earlier versions have none and are read as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from sequela.core.damaged_files import DAMAGED_HINT, naming_file
from sequela.core.errors import BadInputError, IntegrityError, SequelaError
from sequela.core.paths import replacing

M = TypeVar("M", bound=BaseModel)

DIGEST = "digest"
"""The field with the digest of a document."""

EDITED_HINT = f"If you changed the file yourself, remove its field `{DIGEST}`."
"""The advice about a document whose digest differs."""


def digest_of(content: Mapping[str, Any]) -> str:
    """Returns the digest of a document; a field `digest` in it doesn't count."""
    others = {name: value for name, value in content.items() if name != DIGEST}
    text = json.dumps(others, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return f"sha256:{hashlib.sha256(text.encode('ascii')).hexdigest()}"


def digest_holds(content: Mapping[str, Any]) -> bool:
    """Returns whether a document is as it was written, as far as its digest shows; earlier ones have none."""
    return DIGEST not in content or content[DIGEST] == digest_of(content)


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
    if not digest_holds(content):
        raise IntegrityError(
            f"{path} was changed after it was written: its digest differs.", hint=f"{hint} {EDITED_HINT}"
        )
    return {name: value for name, value in content.items() if name != DIGEST}
