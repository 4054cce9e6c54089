"""Digests of JSON documents, by which a change of one is noticed when it is read.

The digest of a document is its field `digest`: `sha256:` and the SHA-256 of the document without that field,
written in the one way that `canonical_json` has. It covers the content and not the text, so that white space
and the order of fields don't count. Documents of a store had the SHA-256 alone at first; it is still read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from sequela.core.hashing import canonical_json

DIGEST = "digest"
"""The field with the digest of a document."""

_PREFIX = "sha256:"


def digest_of(content: Mapping[str, Any]) -> str:
    """Returns the digest of a document; a field `digest` in it doesn't count."""
    return f"{_PREFIX}{hashlib.sha256(canonical_json(without_digest(content))).hexdigest()}"


def without_digest(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a document without its field `digest`."""
    return {name: value for name, value in content.items() if name != DIGEST}


def digest_holds(content: Mapping[str, Any]) -> bool:
    """Returns whether a document has a digest, in either notation, and is as it was written."""
    found = digest_of(content)
    return content.get(DIGEST) in (found, found.removeprefix(_PREFIX))
