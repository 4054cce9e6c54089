"""The one place where things get their content hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

FINGERPRINT_LENGTH = 16
"""Hexadecimal digits kept of a fingerprint (64 bits: enough to tell models apart, short enough to read)."""


def hash_json(value: Any) -> str:
    """A short hash of a JSON value, the same on every machine and Python version."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return _shorten(hashlib.sha256(text.encode("ascii")))


def hash_tensors(tensors: Iterable[tuple[str, torch.Tensor]]) -> str:
    """A short hash of named tensors: names, shapes, dtypes and every bit of the values."""
    import torch  # here, since most of what gets a hash is no tensor, and listings don't wait for it

    digest = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        header = f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|"
        digest.update(header.encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return _shorten(digest)


def hash_parts(parts: Mapping[str, str]) -> str:
    """Joins several hashes under their names into one."""
    return hash_json(dict(parts))


def sha256_of_file(path: Path) -> str:
    """The full SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _shorten(digest: hashlib._Hash) -> str:
    return digest.hexdigest()[:FINGERPRINT_LENGTH]
