"""Damaged results of a run, which are set aside and measured again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from sequela.core.progress import Progress
from sequela.results import Damage, DamageKind, ResultsStore
from sequela.studies.checkpoints import set_checkpoints_aside

_REMEDY = MappingProxyType(
    {
        DamageKind.EVALUATION: " and measured again",
        DamageKind.EDIT: " and the edits of the trajectory are applied again",
        DamageKind.COST: "; a time can't be measured again",
    }
)
"""The consequence of damage, by its kind."""


def set_damage_aside(store: ResultsStore, damage: Sequence[Damage], folder: Path, progress: Progress) -> None:
    """Takes damaged results out of the store, so that they are measured again; edits are applied again.

    Args:
        store: The results of the run.
        damage: The damage, as `ResultsStore.damage` returns it.
        folder: The folder of the run.
        progress: Receives messages.
    """
    for one in damage:
        progress.say(f"{one.sentence}; it is set aside in {folder / 'damaged'}{_REMEDY[one.kind]}")
        if one.kind is DamageKind.EDIT:
            # Without checkpoints a trajectory begins anew. They are moved first, in case the run stops here.
            set_checkpoints_aside(folder, one.trajectory)
    store.set_aside(damage)
