"""Trainings of a step or two."""

from __future__ import annotations

from pathlib import Path

from sequela.core.progress import SILENT
from sequela.editors import AnyEditor
from sequela.editors.training.examples import TrainingEdits
from sequela.editors.training.settings import TrainingSettings
from sequela.editors.training.trained_editor import TrainedEditor
from sequela.editors.training.training import Training
from support.world import World, load_world_model


def train_quickly(editor: AnyEditor, world_folder: Path, world: World, folder: Path, seed: int = 0) -> Path:
    """Trains a method on the world model for one step; returns the folder of the training."""
    assert isinstance(editor, TrainedEditor)
    edits = TrainingEdits.of(world.edits(32, phrasing=-1), 6)
    settings = TrainingSettings(
        n_steps=1, batch_size=1, micro_batch=1, validate_every=1, n_held_out=6, seed=seed
    )
    folder.mkdir(exist_ok=True)
    Training(editor, load_world_model(world_folder), edits, settings, folder, SILENT).run()
    return folder
