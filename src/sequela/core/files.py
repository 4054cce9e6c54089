"""Small files that several packages store: descriptions in JSON, and tensors with their hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from sequela.core.errors import BadInputError, IntegrityError
from sequela.core.hashing import hash_tensors
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


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> str:
    """Writes tensors, completely or not at all; returns their hash."""
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        save_file(kept, temporary)
    return hash_tensors(kept.items())


def load_tensors(path: Path, expected_hash: str) -> dict[str, torch.Tensor]:
    """Reads tensors back.

    Args:
        path: The file.
        expected_hash: The hash of the saved tensors.

    Raises:
        IntegrityError: The file can't be read, or its tensors have another hash.
    """
    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise IntegrityError(f"{path} can't be read: {error}", hint=DAMAGED_HINT) from error
    if hash_tensors(tensors.items()) != expected_hash:
        raise IntegrityError(f"{path} was changed after it was saved: its hash differs.", hint=DAMAGED_HINT)
    return tensors
