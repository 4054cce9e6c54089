"""LoRA and AdaLoRA; the battery tests the rest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from sequela.core.errors import BadInputError, SequelaError
from sequela.edited import EditedModel, LowRank
from sequela.editors import Resources, create_editor
from sequela.editors.shared.target_loss import target_losses, tokenize_edits
from support.edits import TINY_EDITS
from support.statistics import tiny_statistics
from support.tiny import FAMILY_NAMES, tiny_language_model


@pytest.fixture
def resources(tmp_path: Path) -> Resources:
    return Resources(tiny_statistics(tiny_language_model("llama"), tmp_path))


@pytest.mark.parametrize("family", FAMILY_NAMES)
def test_the_change_is_that_of_the_adapters(family: str, resources: Resources) -> None:
    """With the change after three steps, the loss is the initial loss of the fourth step."""
    model, outcomes = tiny_language_model(family), []
    for steps in (3, 4):
        editor = create_editor("lora", {"num_steps": steps, "lr": 2e-2, "dropout": 0.0})
        outcomes.append(editor.edit(model, TINY_EDITS[:1], editor.prepare(model, resources), resources))
    with EditedModel(model, outcomes[0].delta):
        losses, _ = target_losses(model, tokenize_edits(model, TINY_EDITS[:1]))
    assert float(losses[0]) == pytest.approx(outcomes[1].reports[0].final_loss, abs=1e-4)
    assert all(isinstance(update, LowRank) for update in outcomes[0].delta.updates.values())


def test_adalora_removes_directions(resources: Resources) -> None:
    model = tiny_language_model("llama")
    settings = {"kind": "adalora", "rank": 2, "num_steps": 8, "lr": 2e-2}
    editor = create_editor("lora", settings)
    assert editor.variant == "adalora"
    outcome = editor.edit(model, TINY_EDITS[:1], editor.prepare(model, resources), resources)
    kept = [torch.linalg.matrix_rank(u.to_dense().float()) for u in outcome.delta.updates.values()]
    assert sum(map(int, kept)) <= 2 * len(kept)
    assert {update.rank for update in outcome.delta.updates.values()} == {3}


def test_named_layers_are_adapted(resources: Resources) -> None:
    model = tiny_language_model("llama")
    settings = {"target_modules": ["down_proj", "k_proj"], "layers": [1], "num_steps": 2}
    editor = create_editor("lora", settings)
    outcome = editor.edit(model, TINY_EDITS[:1], editor.prepare(model, resources), resources)
    assert set(outcome.delta.updates) == {
        "model.layers.1.mlp.down_proj.weight",
        "model.layers.1.self_attn.k_proj.weight",
    }


def test_a_missing_linear_layer_is_rejected_with_the_existing_ones(resources: Resources) -> None:
    editor = create_editor("lora", {"target_modules": ["c_attn"]})
    with pytest.raises(BadInputError, match="don't have all of c_attn") as caught:
        editor.prepare(tiny_language_model("llama"), resources)
    assert "q_proj" in (caught.value.hint or "")


def test_without_peft_the_hint_says_what_to_install(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(SequelaError, match="needs the package peft") as caught:
        create_editor("lora").prepare(tiny_language_model("llama"), resources)
    assert "sequela[lora]" in (caught.value.hint or "")
