"""KN: the selection of neurons, and the change of their columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from sequela.editors import Resources, create_editor
from sequela.editors.methods.kn.attribution import Question, attributions
from sequela.editors.session import BatchResult
from sequela.edits import Edit
from sequela.models import LanguageModel, tokenize_prompt
from support.edits import CONTEXTS, TINY_EDITS
from support.sessions import edit_in_batches
from support.statistics import tiny_statistics
from support.tiny import LAYERS, tiny_language_model
from support.world import World

EDIT = TINY_EDITS[0]
BARE = ("{}",)


def apply_edits(model: LanguageModel, folder: Path, edit: Edit = EDIT, **settings: Any) -> BatchResult:
    contexts = settings.pop("contexts", BARE)
    editor = create_editor("kn", {"steps": 4, "adaptive_threshold": 0.3, **settings})
    resources = Resources(tiny_statistics(model, folder), contexts=contexts)
    (step,) = edit_in_batches(editor, model, [edit], 1, resources)
    return step


def neurons(step: BatchResult, model: LanguageModel) -> torch.Tensor:
    """Returns the mask of changed columns, `[layers, d_ff]`."""
    changed = torch.zeros(LAYERS, model.key_size, dtype=torch.bool)
    for layer in range(LAYERS):
        update = step.delta.updates.get(model.family.mlp_out_name(layer))
        if update is not None:
            changed[layer] = update.to_dense().abs().amax(0) > 0
    return changed


def old_answer(model: LanguageModel, edit: Edit) -> int:
    ids = tokenize_prompt(model.tokenizer, edit.prompt, edit.subject).ids
    return int(model.module(torch.tensor([ids])).logits[0, -1].argmax())


def scores(model: LanguageModel, edit: Edit, context: str) -> torch.Tensor:
    """Returns the attributions to the model's answer at the bare prompt, `[layers, d_ff]`."""
    ids = tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, context=context).ids
    return attributions(model, [Question(ids, old_answer(model, edit))], 4).scores[0]


def above(attributed: torch.Tensor, fraction: float) -> torch.Tensor:
    return attributed > fraction * attributed.max()


def test_a_neuron_counts_above_a_fraction_of_the_greatest_attribution(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    attributed = scores(model, EDIT, "{}")
    step = apply_edits(model, tmp_path)
    assert torch.equal(neurons(step, model), above(attributed, 0.3))
    assert step.reports[0].diagnostics["neurons"] == float(neurons(step, model).sum()) > 0


@pytest.mark.parametrize(("share", "needed"), [(0.3, 1), (0.5, 2), (1.0, 3)])
def test_a_neuron_must_count_for_enough_prompts(share: float, needed: int, tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    counts = torch.stack([above(scores(model, EDIT, context), 0.1) for context in CONTEXTS])
    step = apply_edits(model, tmp_path, contexts=CONTEXTS, p=share, adaptive_threshold=0.1)
    assert torch.equal(neurons(step, model), counts.sum(0) >= needed)


@pytest.mark.parametrize("tied", [True, False])
def test_the_new_answer_is_added_and_the_old_one_subtracted(tied: bool, tmp_path: Path) -> None:
    model = tiny_language_model("llama", tie_word_embeddings=tied)
    head = model.module.lm_head.weight.detach()
    target = tokenize_prompt(model.tokenizer, EDIT.prompt, EDIT.subject, EDIT.target_new).target_ids
    expected = 2.0 * head[list(target)].sum(0) - 0.5 * head[old_answer(model, EDIT)]
    step = apply_edits(model, tmp_path, new_scale=2.0, old_scale=0.5, signed=False)
    changed = neurons(step, model)
    for layer, neuron in changed.nonzero().tolist():
        column = step.delta.updates[model.family.mlp_out_name(layer)].to_dense()[:, neuron]
        torch.testing.assert_close(column.float(), expected)


def test_the_change_has_the_sign_of_the_activation(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    ids = tokenize_prompt(model.tokenizer, EDIT.prompt, EDIT.subject).ids
    keys = attributions(model, [Question(ids, 0)], 1).keys[0]
    signed, unsigned = (apply_edits(model, tmp_path, signed=flag) for flag in (True, False))
    flipped = 0
    for name, update in signed.delta.updates.items():
        layer = next(n for n in range(LAYERS) if model.family.mlp_out_name(n) == name)
        torch.testing.assert_close(
            update.to_dense(), unsigned.delta.updates[name].to_dense() * keys[layer].sign()
        )
        flipped += int(((keys[layer] < 0) & (update.to_dense().abs().amax(0) > 0)).sum())
    assert flipped > 0


def test_a_known_old_answer_is_attributed_token_by_token(tmp_path: Path) -> None:
    model = tiny_language_model("llama")
    edit = EDIT.model_copy(update={"target_true": "Steve Jobs"})
    prompt = tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, edit.target_true)
    start = len(prompt.prompt_ids)
    assert len(prompt.target_ids) > 1
    questions = [Question(prompt.ids[: start + n], token) for n, token in enumerate(prompt.target_ids)]
    attributed = attributions(model, questions, 4).scores.sum(0)
    assert torch.equal(neurons(apply_edits(model, tmp_path, edit), model), above(attributed, 0.3))


def test_the_variant_names_the_published_single_gradient() -> None:
    assert create_editor("kn", {"steps": 1}).variant == "1 step"
    assert create_editor("kn").variant == ""


def test_on_a_model_trained_on_facts_the_targets_become_more_likely(
    world: World, world_model: LanguageModel, tmp_path: Path
) -> None:
    rises = []
    for edit in world.edits(6, -1):
        step = apply_edits(world_model, tmp_path, edit, new_scale=0.2, old_scale=0.1, adaptive_threshold=0.2)
        (report,) = step.reports
        rises.append(report.first_loss - report.final_loss)
    assert sum(rises) / len(rises) > 0.5
