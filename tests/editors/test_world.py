"""On a model trained on facts, the editors change the edited facts and mostly preserve the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sequela.edited import Delta, EditedModel
from sequela.editors import Resources, create_editor
from sequela.edits import Edit
from sequela.evaluation.edit_quality.measure import SUCCESS_AT_EDIT, measure_edits
from sequela.evaluation.edit_quality.probes import EditQualitySettings
from sequela.inference import TorchEngine
from sequela.models import LanguageModel
from sequela.statistics import CorpusSpec, Statistics
from support.sessions import edit_in_batches
from support.tiers import quick_cases
from support.world import World

SETTINGS = EditQualitySettings(max_new_tokens=8)
AT_THE_SUBJECT = -1
"""The index of the phrasing that ends with the subject."""
TARGET = {"v_num_grad_steps": 30, "v_lr": 0.2, "clamp_norm_factor": 6.0}
GENTLE = {"kl_factor": 0.01, "v_weight_decay": 0.1}
PATIENT = {"kl_factor": 0.01, "v_weight_decay": 0.3, "v_num_grad_steps": 60}
# The world's model differs between kinds of processors, since rounding errors grow over its training. The
# settings reach the limits on several models, trained at learning rates that differ by a millionth.


@dataclass(frozen=True)
class Way:
    """A method with settings, and the scores that it must reach on average over ten edits.

    Args:
        method: The method.
        settings: Its settings.
        batch: The number of edits applied together; each batch starts from the unedited model.
        efficacy: The minimum efficacy, by free decoding.
        neighborhood: The minimum share of preserved neighborhood facts, by free decoding.
    """

    method: str
    settings: dict[str, Any] = field(default_factory=dict)
    batch: int = 1
    efficacy: float = 0.8
    neighborhood: float = 0.7


WAYS = {
    "rome": Way("rome", {**TARGET, **PATIENT, "variant": "original", "layers": [0]}),
    "r-rome": Way("rome", {**TARGET, **PATIENT, "variant": "r-rome", "layers": [0]}),
    "p-rome": Way("rome", {**TARGET, **PATIENT, "variant": "p-rome", "layers": [0]}),
    "memit, one by one": Way("memit", {**TARGET, **GENTLE, "layers": [0, 1], "mom2_update_weight": 300}),
    "memit, ten at once": Way("memit", {**TARGET, "layers": [0, 1], "mom2_update_weight": 1000}, batch=10),
    "pmet": Way(
        "pmet",
        {**GENTLE, "v_num_grad_steps": 30, "v_lr": 0.3, "clamp_norm_factor": 10.0}
        | {"layers": [0, 1], "mom2_update_weight": 10},
    ),
    "emmet, one by one": Way("emmet", {**TARGET, **GENTLE, "layers": [0, 1], "emmet_lambda": 1}),
    "emmet, ten at once": Way("emmet", {**TARGET, **PATIENT, "layers": [0, 1], "emmet_lambda": 10}, batch=10),
    "alphaedit, one by one": Way("alphaedit", {**TARGET, **GENTLE, "layers": [0, 1], "L2": 1}),
    "alphaedit, ten at once": Way("alphaedit", {**TARGET, **GENTLE, "layers": [0, 1], "L2": 1}, batch=10),
    "ultraedit, one by one": Way("ultraedit", {"layers": [1, 2], "lr": 6e-4, "token": "mask"}, efficacy=0.6),
    "ultraedit, ten at once": Way("ultraedit", {"layers": [1, 2, 3], "lr": 6e-4, "token": "ans"}, batch=10),
    "rome+rect": Way("rome+rect", {**TARGET, **PATIENT, "layers": [0]}),
    "rome+nas": Way("rome+nas", {**TARGET, **GENTLE, "layers": [0]}),
    "memit+nas": Way("memit+nas", {**TARGET, **GENTLE, "layers": [0, 1], "mom2_update_weight": 300}),
    "ft-m": Way("ft-m", {"layers": [2], "lr": 1e-3, "num_steps": 20}, neighborhood=0.6),
}


@pytest.fixture
def resources(world: World, world_model: LanguageModel, tmp_path: Path) -> Resources:
    """Key statistics over the text that the model was trained on."""
    text = tmp_path / "read.txt"
    text.write_text("\n".join(s for fact in world.facts for s in fact.sentences), encoding="utf-8")
    spec = CorpusSpec(source=str(text), n_tokens=4096, window=64)
    return Resources(Statistics(world_model, spec, tmp_path))


def measured(model: LanguageModel, delta: Delta, edits: Sequence[Edit]) -> dict[str, list[float]]:
    """Returns one value per edit for each metric, by free decoding."""
    records = measure_edits(EditedModel(model, delta), TorchEngine(), edits, SUCCESS_AT_EDIT, SETTINGS)
    values: dict[str, list[float]] = {}
    for record in records:
        if record.protocol == "free_decoding":
            values.setdefault(record.metric, []).append(record.value)
    return values


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


QUICK = (
    "r-rome",
    "memit, ten at once",
    "alphaedit, ten at once",
    "ultraedit, ten at once",
    "ft-m",
)
"""One configuration per way of solving for the weights; the battery covers the others on tiny models."""


@pytest.mark.parametrize("name", quick_cases(WAYS, QUICK))
def test_edits_reach_their_efficacy_and_preserve_neighbors(
    name: str, world: World, world_model: LanguageModel, resources: Resources
) -> None:
    way = WAYS[name]
    edits = list(world.edits(10, AT_THE_SUBJECT))
    unedited = measured(world_model, Delta.empty(world_model.fingerprint), edits)
    assert mean(unedited["efficacy"]) == 0
    assert mean(unedited["neighborhood"]) > 0.95

    editor = create_editor(way.method, way.settings)
    scores: dict[str, list[float]] = {}
    for first in range(0, len(edits), way.batch):
        batch = edits[first : first + way.batch]
        (step,) = edit_in_batches(editor, world_model, batch, way.batch, resources)
        for metric, values in measured(world_model, step.delta, batch).items():
            scores.setdefault(metric, []).extend(values)
    assert len(scores["efficacy"]) == 10
    assert mean(scores["efficacy"]) >= way.efficacy
    assert mean(scores["neighborhood"]) >= way.neighborhood
    assert mean(scores["paraphrase"]) > mean(unedited["paraphrase"]) + 0.3


@pytest.mark.slow
def test_edits_applied_one_after_another_add_up(
    world: World, world_model: LanguageModel, resources: Resources
) -> None:
    """After five batches of two, most of the ten edits are retained."""
    edits = list(world.edits(10, AT_THE_SUBJECT))
    editor = create_editor("memit", WAYS["memit, ten at once"].settings)
    *_, last = edit_in_batches(editor, world_model, edits, 2, resources)
    assert mean(measured(world_model, last.delta, edits)["efficacy"]) >= 0.7
