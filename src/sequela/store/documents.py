"""The JSON documents of a store, with a format version and a digest over their content (`core/digests.py`).

The digest has the same rule in all format versions, so that a damaged document is never taken for one of a
newer version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sequela.core.digests import DIGEST, digest_holds, digest_of, without_digest
from sequela.core.errors import BadInputError, IntegrityError
from sequela.core.hashing import canonical_json
from sequela.core.plain_values import problem_of
from sequela.store.errors import NewerStoreError

FORMAT = 1
"""The version of the format of a store: of its folders, and of all documents in it."""


def canonical(content: Mapping[str, Any]) -> bytes:
    """Returns `canonical_json` of a JSON object.

    Raises:
        BadInputError: It is not JSON: it has other objects, numbers that are not finite, or nests too deep.
    """
    try:
        return canonical_json(content, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInputError(f"The description of an object is not JSON: {error}.") from error


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
    canonical(complete)
    complete[DIGEST] = digest_of(complete)
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
    if not digest_holds(content):
        raise IntegrityError(
            f"{where} is damaged: its digest is {content.get(DIGEST)}, that of its content "
            f"{digest_of(content)}."
        )
    content = without_digest(content)
    version = content.get("version")
    if type(version) is int and version > FORMAT:
        raise NewerStoreError(where, version, FORMAT)
    if version != FORMAT:
        raise IntegrityError(f"{where} has the unknown format version {version!r}.")
    return content
