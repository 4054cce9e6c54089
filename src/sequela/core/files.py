"""Files of tensors that several packages store, with their hash."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from sequela.core.damaged_files import DAMAGED_HINT, UNREADABLE, naming_file
from sequela.core.errors import IntegrityError
from sequela.core.hashing import hash_tensors
from sequela.core.paths import replacing


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> str:
    """Writes tensors, completely or not at all; returns their hash."""
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary, system_errors():
        save_file(kept, temporary)
    return hash_tensors(kept.items())


@contextmanager
def system_errors() -> Iterator[None]:
    """Converts what safetensors raises when the system refuses to write, as on a full disk, to `OSError`."""
    try:
        yield
    except SafetensorError as error:
        found = re.search(r"\(os error (\d+)\)", str(error))
        if found is None:
            raise
        number = int(found[1])
        raise OSError(number, os.strerror(number)) from error


def read_tensors(path: Path, what: str, device: str = "cpu") -> dict[str, torch.Tensor]:
    """Reads tensors to a device; `what` names them in the error.

    Raises:
        IntegrityError: The file can't be read.
    """
    with naming_file(path, what, errors=(*UNREADABLE, SafetensorError), hint=DAMAGED_HINT):
        tensors: dict[str, torch.Tensor] = load_file(path, device=device)
    return tensors


def load_tensors(path: Path, expected_hash: str) -> dict[str, torch.Tensor]:
    """Reads tensors back.

    Args:
        path: The file.
        expected_hash: The hash of the saved tensors.

    Raises:
        IntegrityError: The file can't be read, or its tensors have another hash.
    """
    tensors = read_tensors(path, "tensors")
    if hash_tensors(tensors.items()) != expected_hash:
        raise IntegrityError(f"{path} was changed after it was saved: its hash differs.", hint=DAMAGED_HINT)
    return tensors
