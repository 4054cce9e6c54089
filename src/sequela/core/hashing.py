"""Content hashes of JSON values, tensors and files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

FINGERPRINT_LENGTH = 16
"""The number of hexadecimal digits in a fingerprint: 64 bits distinguish models and are short to read."""


def canonical_json(value: Any, *, allow_nan: bool = True) -> bytes:
    """Returns a JSON value as the bytes from which hashes are computed, the same for equal values.

    Args:
        value: The value.
        allow_nan: Whether numbers may be infinite or NaN, which JSON proper hasn't.

    Raises:
        TypeError: It has an object that JSON hasn't.
        ValueError: It has such a number.
        RecursionError: It nests too deep.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=allow_nan)
    return text.encode("ascii")


def hash_json(value: Any) -> str:
    """Returns a short hash of a JSON value, the same on every machine and Python version."""
    return _shorten(hashlib.sha256(canonical_json(value)))


def hash_tensors(tensors: Iterable[tuple[str, torch.Tensor]]) -> str:
    """Returns a short hash of named tensors: names, shapes, dtypes and every bit of the values."""
    by_name = dict(tensors)
    return hash_read_tensors(by_name, by_name.__getitem__)


def hash_read_tensors(names: Iterable[str], read: Callable[[str], torch.Tensor]) -> str:
    """Returns `hash_tensors` of tensors that are read one at a time, by their unique names."""
    import torch  # imported here, since most hashes are not of tensors and listings must not wait for it

    digest = hashlib.sha256()
    for name in sorted(names):
        tensor = read(name)
        header = f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|"
        digest.update(header.encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return _shorten(digest)


def hash_parts(parts: Mapping[str, str]) -> str:
    """Returns one hash of several named hashes."""
    return hash_json(dict(parts))


def sha256_of_file(path: Path) -> str:
    """Returns the full SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _shorten(digest: hashlib._Hash) -> str:
    return digest.hexdigest()[:FINGERPRINT_LENGTH]
