"""Editing and measuring a model with weights on the disk gives the same bits as one in memory.

Scores are compared with those of an engine without packed weights: an offloaded model has none, and packed
products differ in the order of summation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sequela.core.errors import BadInputError
from sequela.edited import EditedModel
from sequela.editors import Resources, create_editor
from sequela.editors.session import EditSession
from sequela.inference import (
    DepthCache,
    GenerationRequest,
    PlainEngine,
    ScoreRequest,
    TorchEngine,
    WorkingMemory,
)
from sequela.models import LanguageModel, load_model
from support.edits import CONTEXTS, TINY_EDITS
from support.sessions import edit_in_batches
from support.statistics import tiny_statistics
from support.tiers import QUICK_FAMILIES, quick_cases
from support.tiny import FAMILY_NAMES, tiny_language_model
from support.two_devices import METHODS

DISK: dict[str, str] = {"": "disk"}
SCORES = (ScoreRequest((5, 6, 7, 8), (9, 10)), ScoreRequest((5, 6, 9), (11,)), ScoreRequest((4, 6), (11,)))
TEXTS = (GenerationRequest((5, 6, 7), 5), GenerationRequest((8, 9), 4))
TRAINS_WEIGHTS = ("ft-m", "ft-l", "lora")
COMPUTES = tuple(name for name in METHODS if name not in TRAINS_WEIGHTS)
QUICK_METHODS = ("rome", "memit")


def both(family: str, folder: Path, places: Any = DISK) -> tuple[LanguageModel, LanguageModel]:
    """Returns a tiny model in memory, and the same with weights on the disk."""
    model = tiny_language_model(family)
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return load_model(folder, device="cpu"), load_model(folder, device_map=places)


def engine(cache: DepthCache | None = None) -> TorchEngine:
    return TorchEngine(WorkingMemory(pack_weights=False), cache)


@pytest.mark.parametrize("family", quick_cases(FAMILY_NAMES, QUICK_FAMILIES))
def test_scores_texts_and_statistics_are_the_same(family: str, tmp_path: Path) -> None:
    resident, offloaded = both(family, tmp_path / "model")
    for one in (engine(), PlainEngine(64)):
        answers = [
            (one.score(EditedModel(model), SCORES), one.generate(EditedModel(model), TEXTS))
            for model in (resident, offloaded)
        ]
        assert answers[0] == answers[1]
    covariances = []
    for number, model in enumerate((resident, offloaded)):
        (tmp_path / str(number)).mkdir()
        covariances.append(tiny_statistics(model, tmp_path / str(number)).key_covariance(1).matrix)
    assert torch.equal(*covariances)


def edited(model: LanguageModel, method: str, folder: Path) -> tuple[str, Any, list[Any], list[Any]]:
    """Returns the change of weights, the state and the answers after two edits."""
    folder.mkdir()
    editor = create_editor(method, METHODS[method])
    resources = Resources(tiny_statistics(model, folder), contexts=CONTEXTS)
    *_, last = edit_in_batches(editor, model, TINY_EDITS[:2], 1, resources)
    after = editor.edited(model, last.delta, last.state)
    scores, texts = engine().score(after, SCORES), engine().generate(after, TEXTS)
    assert not model.changes
    return last.delta.content_hash, last.state, list(scores), list(texts)


@pytest.mark.parametrize("method", quick_cases(COMPUTES, QUICK_METHODS))
def test_edits_are_the_same(method: str, tmp_path: Path) -> None:
    resident, offloaded = both("llama", tmp_path / "model")
    assert edited(resident, method, tmp_path / "a") == edited(offloaded, method, tmp_path / "b")


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("method", QUICK_METHODS)
def test_edits_are_the_same_in_every_family_with_a_part_on_the_disk(
    family: str, method: str, tmp_path: Path
) -> None:
    blocks = tiny_language_model(family).family.blocks
    places = {f"{blocks}.1": "disk", f"{blocks}.2": "disk", "": "cpu"}
    resident, offloaded = both(family, tmp_path / "model", places)
    assert edited(resident, method, tmp_path / "a") == edited(offloaded, method, tmp_path / "b")


def test_hidden_states_below_the_edits_are_kept_for_an_offloaded_model_too(tmp_path: Path) -> None:
    resident, offloaded = both("llama", tmp_path / "model")
    for model in (resident, offloaded):
        cached = engine(DepthCache())
        for _ in range(2):
            assert cached.score(EditedModel(model), SCORES) == engine().score(EditedModel(resident), SCORES)


def test_an_offloaded_model_s_weights_are_not_packed(tmp_path: Path) -> None:
    resident, offloaded = both("llama", tmp_path / "model")
    packing = TorchEngine(WorkingMemory(pack_weights=True))
    assert packing.score(EditedModel(offloaded), SCORES) == engine().score(EditedModel(resident), SCORES)


@pytest.mark.parametrize("method", TRAINS_WEIGHTS)
def test_methods_that_train_the_weights_say_that_they_can_t(method: str, tmp_path: Path) -> None:
    _, offloaded = both("llama", tmp_path / "model")
    resources = Resources(tiny_statistics(offloaded, tmp_path), contexts=CONTEXTS)
    with pytest.raises(BadInputError, match=f"{method} trains weights of the model, which are offloaded"):
        EditSession(offloaded, create_editor(method, METHODS[method]), resources)
