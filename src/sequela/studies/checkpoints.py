"""Checkpoints of a trajectory on disk: the delta, the editor's state, and what was measured at each edit."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from sequela.deltas import Delta
from sequela.deltas.storage import load_delta, save_delta
from sequela.editors import AnyEditor
from sequela.ground.errors import IntegrityError
from sequela.ground.paths import replacing
from sequela.models import LanguageModel

STATE = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """A trajectory after some edits.

    Args:
        n_edits: How many.
        delta: The whole change of weights against the base.
        state: The editor's state.
    """

    n_edits: int
    delta: Delta
    state: BaseModel


def checkpoint_folder(run_folder: Path, trajectory: str, n_edits: int) -> Path:
    """Where a checkpoint is kept."""
    return run_folder / "checkpoints" / trajectory / str(n_edits)


def save_checkpoint(
    folder: Path, checkpoint: Checkpoint, model: LanguageModel, editor: AnyEditor, edits: tuple[str, ...]
) -> None:
    """Writes a checkpoint; the state is written last, and only with it is the checkpoint whole."""
    save_delta(checkpoint.delta, folder, model, editor.name, edits)
    state = {"delta": checkpoint.delta.content_hash, "state": checkpoint.state.model_dump(mode="json")}
    with replacing(folder / STATE) as path:
        path.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")


def load_checkpoint(folder: Path, n_edits: int, model: LanguageModel, editor: AnyEditor) -> Checkpoint | None:
    """Reads a checkpoint back; None if it was never finished.

    Raises:
        IntegrityError: Delta and state don't belong together.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    delta = load_delta(folder, model)
    if delta.content_hash != kept["delta"]:
        raise IntegrityError(f"The delta and the state in {folder} are not of one checkpoint.")
    return Checkpoint(n_edits, delta, editor.state_class.model_validate(kept["state"]))
