"""Storage of deltas: a file of tensors, and the description that is needed to read them."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from sequela.core.damaged_files import DAMAGED_HINT
from sequela.core.errors import IntegrityError
from sequela.core.files import read_tensors, save_tensors
from sequela.edited.delta import Delta
from sequela.edited.updates import Dense, LowRank, WeightUpdate
from sequela.models import LanguageModel


class StoredDelta(BaseModel):
    """The description of a delta, a part of the description of the folder that has its tensors.

    Args:
        content_hash: The hash of the delta, checked on loading.
        weights: The form of each weight's update, `low_rank` or `dense`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    content_hash: str
    weights: dict[str, str]


def store_delta(path: Path, delta: Delta) -> StoredDelta:
    """Writes the tensors of a delta, completely or not at all; an empty delta has no file.

    A file of an earlier delta is left, since its description may still be in force.
    """
    if delta.updates:
        save_tensors(path, delta.tensors())
    return StoredDelta(
        content_hash=delta.content_hash,
        weights={k: "low_rank" if isinstance(u, LowRank) else "dense" for k, u in delta.updates.items()},
    )


def restore_delta(path: Path, stored: StoredDelta, model: LanguageModel) -> Delta:
    """Reads a delta for its model, with its tensors on the model's device.

    Raises:
        IntegrityError: The file is missing, or was changed after it was saved.
    """
    if not stored.weights:
        tensors = {}
    elif not path.is_file():
        raise IntegrityError(f"{path.parent} is incomplete: {path.name} is missing.", hint=DAMAGED_HINT)
    else:
        tensors = read_tensors(path, "a change of weights", str(model.device))
    try:
        updates: dict[str, WeightUpdate] = {
            name: LowRank(tensors[f"{name}/b"], tensors[f"{name}/a"])
            if form == "low_rank"
            else Dense(tensors[f"{name}/values"])
            for name, form in stored.weights.items()
        }
    except KeyError as error:
        raise IntegrityError(f"{path} lacks the tensor {error}.", hint=DAMAGED_HINT) from error
    delta = Delta(model.fingerprint, updates)
    if delta.content_hash != stored.content_hash:
        raise IntegrityError(f"{path} was changed after it was saved: its hash differs.", hint=DAMAGED_HINT)
    return delta
