"""Deltas on disk: `delta.safetensors` for the numbers, `delta.json` for what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError
from safetensors.torch import load_file

from sequela.deltas.delta import Delta
from sequela.deltas.updates import Dense, LowRank, WeightUpdate
from sequela.ground.errors import BadInputError, IntegrityError
from sequela.ground.files import read_description_of, save_tensors, write_description
from sequela.models import LanguageModel

TENSORS = "delta.safetensors"
DESCRIPTION = "delta.json"
FORMAT: Literal[1] = 1


class DeltaDescription(BaseModel):
    """What `delta.json` says.

    Args:
        format: The version of this layout.
        base_fingerprint: The model the delta was made for.
        base_name: What that model was called.
        content_hash: The hash of the delta, checked on loading.
        weights: The form of each weight's update, `low_rank` or `dense`.
        method: The method that made it, if known.
        edits: The ids of the edits it carries.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = FORMAT
    base_fingerprint: str
    base_name: str
    content_hash: str
    weights: dict[str, str]
    method: str | None = None
    edits: tuple[str, ...] = ()


def save_delta(
    delta: Delta, folder: Path, base: LanguageModel, method: str | None = None, edits: tuple[str, ...] = ()
) -> None:
    """Writes a delta into a folder, whole or not at all."""
    description = DeltaDescription(
        base_fingerprint=delta.base_fingerprint,
        base_name=base.name,
        content_hash=delta.content_hash,
        weights={k: "low_rank" if isinstance(u, LowRank) else "dense" for k, u in delta.updates.items()},
        method=method,
        edits=edits,
    )
    save_tensors(folder / TENSORS, delta.tensors())
    write_description(folder / DESCRIPTION, description)


def read_description(folder: Path) -> DeltaDescription:
    """Reads what `delta.json` in a folder says.

    Raises:
        BadInputError: It is missing or not one of ours.
    """
    return read_description_of(folder / DESCRIPTION, DeltaDescription, "delta")


def load_delta(folder: Path, model: LanguageModel) -> Delta:
    """Reads a delta back for the model it was made for.

    Raises:
        BadInputError: The folder holds no delta.
        IntegrityError: The numbers are not the ones that were saved.
        FingerprintMismatchError: The model is another one.
    """
    description = read_description(folder)
    Delta.empty(description.base_fingerprint).check_base(model)
    try:
        tensors = load_file(folder / TENSORS, device=str(model.device))
    except (OSError, SafetensorError) as error:
        raise BadInputError(f"{folder / TENSORS} can't be read: {error}") from error
    try:
        updates: dict[str, WeightUpdate] = {
            name: LowRank(tensors[f"{name}/b"], tensors[f"{name}/a"])
            if form == "low_rank"
            else Dense(tensors[f"{name}/values"])
            for name, form in description.weights.items()
        }
    except KeyError as error:
        raise IntegrityError(f"{folder / TENSORS} lacks the tensor {error}.") from error
    delta = Delta(description.base_fingerprint, updates)
    if delta.content_hash != description.content_hash:
        raise IntegrityError(f"{folder / TENSORS} was changed after it was saved: its hash differs.")
    return delta
