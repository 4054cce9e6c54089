"""JSON documents with a digest over their content, by which damage is noticed.

The digest covers the content and not the text: a document in other white space is the same document. The rule
holds for all format versions, so that a damaged document is never taken for one of a newer version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sequela.core.errors import BadInputError, IntegrityError
from sequela.core.plain_values import problem_of
from sequela.store.errors import NewerStoreError

FORMAT = 1
"""The version of the format of a store: of its folders, and of all documents in it."""


def canonical(content: Mapping[str, Any]) -> bytes:
    """Returns a JSON object as the bytes from which digests are computed, the same for equal content.

    Raises:
        BadInputError: It is not JSON: it has other objects, numbers that are not finite, or nests too deep.
    """
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInputError(f"The description of an object is not JSON: {error}.") from error
    return text.encode("ascii")


def with_digest(content: Mapping[str, Any]) -> bytes:
    """Returns a document: the content with its format version and its digest, as indented JSON.

    Raises:
        BadInputError: The content is not JSON.
    """
    complete = {"version": FORMAT, **content}
    problem = problem_of(complete)
    if problem:
        raise BadInputError(
            f"The description of an object can't be stored: {' '.join(filter(None, problem))}."
        )
    complete["digest"] = hashlib.sha256(canonical(complete)).hexdigest()
    return (json.dumps(complete, indent=2, ensure_ascii=True) + "\n").encode("ascii")


def checked_content(data: bytes, where: str) -> dict[str, Any]:
    """Returns the content of a document, without its digest.

    Args:
        data: The document.
        where: The name of its file, for messages.

    Raises:
        IntegrityError: It is damaged.
        NewerStoreError: It was written by a later version of Sequela.
    """
    try:
        content = json.loads(data)
        problem = problem_of(content)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{where} is damaged: it is not JSON.") from error
    if problem or not isinstance(content, dict):
        raise IntegrityError(f"{where} is damaged: it doesn't hold an object with a digest.")
    digest = content.pop("digest", None)
    found = hashlib.sha256(canonical(content)).hexdigest()
    if digest != found:
        raise IntegrityError(f"{where} is damaged: its digest is {digest}, that of its content {found}.")
    version = content.get("version")
    if type(version) is int and version > FORMAT:
        raise NewerStoreError(where, version, FORMAT)
    if version != FORMAT:
        raise IntegrityError(f"{where} has the unknown format version {version!r}.")
    return content
