"""Checkpoints of a trajectory on disk: the delta, the editor's state, and what was measured at each edit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sequela.deltas import Delta
from sequela.deltas.storage import load_delta, save_delta
from sequela.deltas.updates import LowRank, WeightUpdate
from sequela.editors import AnyEditor, EditorState
from sequela.editors.storage import load_state, save_state_tensors
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
        ranks: On the way from the checkpoint before: after so many edits the rank of every weight's change.
            Low-rank changes are kept side by side, so that these tell which part of `delta` was there then.
    """

    n_edits: int
    delta: Delta
    state: EditorState
    ranks: Mapping[int, Mapping[str, int]] = field(default_factory=dict)

    def delta_after(self, n_edits: int) -> Delta | None:
        """The change after fewer edits, to the last bit; None if it can't be told from this one."""
        if n_edits == self.n_edits:
            return self.delta
        if n_edits not in self.ranks:
            return None
        earlier: dict[str, WeightUpdate] = {}
        for name, rank in self.ranks[n_edits].items():
            update = self.delta.updates.get(name)
            if not isinstance(update, LowRank):
                return None
            earlier[name] = update.first(rank)
        return Delta(self.delta.base_fingerprint, earlier)


def ranks_of(delta: Delta) -> dict[str, int] | None:
    """The rank of every weight's change; None if one of them isn't kept as factors."""
    ranks = {}
    for name, update in delta.updates.items():
        if not isinstance(update, LowRank):
            return None
        ranks[name] = update.rank
    return ranks


def checkpoint_folder(run_folder: Path, trajectory: str, n_edits: int) -> Path:
    """Where a checkpoint is kept."""
    return run_folder / "checkpoints" / trajectory / str(n_edits)


def save_checkpoint(
    folder: Path, checkpoint: Checkpoint, model: LanguageModel, editor: AnyEditor, edits: tuple[str, ...]
) -> None:
    """Writes a checkpoint; the state is written last, and only with it is the checkpoint whole."""
    save_delta(checkpoint.delta, folder, model, editor.name, edits)
    state = {
        "delta": checkpoint.delta.content_hash,
        "state": checkpoint.state.model_dump(mode="json"),
        "tensors": save_state_tensors(folder, checkpoint.state),
        "ranks": {str(n_edits): dict(ranks) for n_edits, ranks in checkpoint.ranks.items()},
    }
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
    state = load_state(folder, editor, kept["state"], kept["tensors"], model)
    ranks = {int(n): found for n, found in kept.get("ranks", {}).items()}
    return Checkpoint(n_edits, delta, state, ranks)
