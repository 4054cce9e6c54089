"""On a trained model with norms after the MLP, edits succeed with small changes and keep most neighbors."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from sequela.editors import Resources, create_editor
from sequela.editors.session import EditSession
from sequela.evaluation.edit_quality.measure import SUCCESS_AT_EDIT, measure_edits
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.inference import TorchEngine
from sequela.models import LanguageModel
from sequela.statistics import CorpusSpec, Statistics
from support.world import World, load_world_model, trained_world_model

TARGET = {
    "v_num_grad_steps": 30,
    "v_lr": 0.2,
    "clamp_norm_factor": 6.0,
    "kl_factor": 0.01,
    "v_weight_decay": 0.1,
}
WAYS: dict[str, dict[str, Any]] = {
    "rome": {"layers": [0]},
    "memit": {"layers": [0, 1], "mom2_update_weight": 300},
    "emmet": {"layers": [0, 1], "emmet_lambda": 1},
    "alphaedit": {"layers": [0, 1], "L2": 1},
}
SETTINGS = EditQualitySettings(max_new_tokens=8)


@pytest.fixture(scope="module")
def gemma(request: pytest.FixtureRequest, world: World) -> LanguageModel:
    cache = Path(request.config.cache.mkdir("sequela-world"))
    return load_world_model(trained_world_model(world, cache, "gemma3"))


@pytest.mark.slow
@pytest.mark.parametrize("method", WAYS)
def test_edits_of_a_model_with_norms_after_the_mlp_succeed_with_small_changes(
    method: str, gemma: LanguageModel, world: World, tmp_path: Path
) -> None:
    """If the stream's residual were written before the norm, the mean change would exceed 0.8."""
    text = tmp_path / "read.txt"
    text.write_text("\n".join(s for fact in world.facts for s in fact.sentences), encoding="utf-8")
    spec = CorpusSpec(source=str(text), n_tokens=4096, window=64)
    resources = Resources(Statistics(gemma, spec, tmp_path))
    session = EditSession(gemma, create_editor(method, {**TARGET, **WAYS[method]}), resources)
    norms, efficacy, neighborhood = list[float](), list[float](), list[float]()
    for edit in world.edits(10, -1):  # the last phrasing ends with the subject
        result = session.apply_batch([edit], session.start())
        norms.append(result.reports[0].relative_norm)
        for item in measure_edits(session.edited(result), TorchEngine(), [edit], SUCCESS_AT_EDIT, SETTINGS):
            if item.protocol == "free_decoding" and item.value is not None:
                {"efficacy": efficacy, "neighborhood": neighborhood}.get(item.metric, []).append(item.value)
    assert fmean(norms) < 0.6
    assert fmean(efficacy) >= 0.9
    assert fmean(neighborhood) >= 0.65
