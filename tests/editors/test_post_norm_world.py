"""On a trained model with norms after the MLP, edits succeed with small changes, and neighbors stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from sequela.editors import Resources, create_editor
from sequela.editors.session import EditSession
from sequela.models import LanguageModel
from sequela.statistics import CorpusSpec, Statistics
from support.world import World, load_world_model, trained_world_model
from test_world import GENTLE, TARGET, mean, measured

WAYS = {
    "memit": {"layers": [0, 1], "mom2_update_weight": 300},
    "emmet": {"layers": [0, 1], "emmet_lambda": 1},
    "alphaedit": {"layers": [0, 1], "L2": 1},
    "rome": {"layers": [0]},
}


@pytest.fixture(scope="module")
def gemma(world: World, tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return load_world_model(trained_world_model(world, tmp_path_factory.mktemp("gemma"), "gemma3"))
