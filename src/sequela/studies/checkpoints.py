"""Checkpoints of a trajectory: saved edits with the state that is needed to apply further ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sequela.core.errors import IntegrityError
from sequela.edited import Delta
from sequela.edited.updates import LowRank, WeightUpdate
from sequela.editors import AnyEditor, former_storage
from sequela.editors.saved_edits import MethodEdits, SavedEdits
from sequela.editors.session import Snapshot
from sequela.editors.storage import DESCRIPTION, load_saved_edits, save_edits
from sequela.models import LanguageModel


@dataclass(frozen=True)
class Checkpoint(Snapshot):
    """A snapshot of a trajectory from which earlier deltas can be recovered.

    Args:
        n_edits: The number of edits so far.
        delta: The delta against the base model.
        state: The editor's state.
        ranks: The rank of each weight's update after each number of edits since the previous checkpoint. The
            factors of low-rank updates are joined, so a rank identifies the part of `delta` that existed
            at that point.
    """

    ranks: Mapping[int, Mapping[str, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, at: Snapshot, ranks: Mapping[int, Mapping[str, int]] | None = None) -> Checkpoint:
        """Returns a checkpoint of a snapshot."""
        return cls(at.n_edits, at.delta, at.state, ranks or {})

    def delta_after(self, n_edits: int) -> Delta | None:
        """Returns the delta after fewer edits, bit for bit; None if it can't be recovered."""
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
    """Returns the rank of each weight's update; None if an update isn't stored as factors."""
    ranks = {}
    for name, update in delta.updates.items():
        if not isinstance(update, LowRank):
            return None
        ranks[name] = update.rank
    return ranks


def checkpoint_folder(run_folder: Path, trajectory: str, n_edits: int) -> Path:
    """Returns the folder of a checkpoint."""
    return run_folder / "checkpoints" / trajectory / str(n_edits)


def set_checkpoints_aside(run_folder: Path, trajectory: str | None) -> None:
    """Moves the checkpoints of a trajectory into the folder `damaged`, so that its edits are applied again.

    Args:
        run_folder: The folder of the run.
        trajectory: The trajectory; None for all.
    """
    checkpoints = run_folder / "checkpoints"
    chosen = checkpoints.glob("*") if trajectory is None else [checkpoints / trajectory]
    for folder in chosen:
        if folder.is_dir():
            kept = run_folder / "damaged" / "checkpoints"
            kept.mkdir(parents=True, exist_ok=True)
            number = 1
            while (kept / f"{folder.name}-{number}").exists():
                number += 1
            folder.replace(kept / f"{folder.name}-{number}")


def save_checkpoint(
    folder: Path, checkpoint: Checkpoint, model: LanguageModel, editor: AnyEditor, edits: tuple[str, ...]
) -> None:
    """Writes a checkpoint: saved edits with the state that is needed to apply further ones."""
    saved = SavedEdits(
        delta=editor.finalize_delta(model, checkpoint.delta),
        methods=(MethodEdits.of(editor, checkpoint.state, edits, resumable=True),),
        unregularized=checkpoint.delta,
        ranks=checkpoint.ranks,
    )
    save_edits(folder, model, saved)


def load_checkpoint(folder: Path, n_edits: int, model: LanguageModel, editor: AnyEditor) -> Checkpoint | None:
    """Reads a checkpoint of this or an earlier version; returns None if it is absent or unfinished.

    Raises:
        IntegrityError: A part is missing, or the parts don't belong together.
    """
    if not is_whole(folder):
        return None
    saved = load_saved_edits(folder, model, editor)
    (method,) = saved.methods
    if method.state is None:
        raise IntegrityError(
            f"{folder} has no state of {editor.name}, which is needed to resume the run.",
            hint="Delete that folder; the same command then applies its edits again.",
        )
    delta = saved.delta if saved.unregularized is None else saved.unregularized
    return Checkpoint(n_edits, delta, method.state, saved.ranks)


def is_whole(folder: Path) -> bool:
    """Returns whether a checkpoint is complete: its description, which is written last, exists."""
    return (folder / DESCRIPTION).is_file() or (folder / former_storage.STATE_FILE).is_file()
