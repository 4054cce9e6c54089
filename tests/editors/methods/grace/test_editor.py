"""GRACE: the key and the loss of a value are those of a whole forward pass."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sequela.editors.methods.grace.editor import ValueSlot
from sequela.models import LanguageModel, tokenize_prompt
from support.edits import TINY_EDITS
from support.tiers import QUICK_FAMILIES, quick_cases
from support.tiny import FAMILY_NAMES, tiny_language_model

LAYER = 2


def whole_pass(
    model: LanguageModel, ids: tuple[int, ...], position: int, value: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the logits with a value in place of the projection's output, and the projection's input."""
    keys = []

    def replace(_: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        keys.append(inputs[0][0, position].float())
        changed = output.clone()
        changed[0, position] = value
        return changed

    module = model.module.get_submodule(model.family.mlp_out.format(LAYER))
    handle = module.register_forward_hook(replace)
    try:
        logits = model.module(torch.tensor([ids])).logits[0]
    finally:
        handle.remove()
    return logits, keys[0]


@pytest.mark.parametrize("name", quick_cases(FAMILY_NAMES, QUICK_FAMILIES))
@pytest.mark.parametrize("number", [0, 1])
@torch.no_grad()
def test_the_key_and_the_loss_are_those_of_a_whole_pass(name: str, number: int) -> None:
    model = tiny_language_model(name)
    edit = TINY_EDITS[number]
    prompt = tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, edit.target_new)
    value = torch.randn(model.hidden_size, generator=torch.Generator().manual_seed(1))
    slot = ValueSlot(model, prompt, LAYER)
    with torch.enable_grad():
        _, losses = slot.train(value, num_steps=1, lr=0.0)
    last, target = len(prompt.prompt_ids) - 1, torch.tensor(prompt.target_ids)
    logits, key = whole_pass(model, (*prompt.prompt_ids, *prompt.target_ids), last, value)
    expected = torch.nn.functional.cross_entropy(logits[last : last + len(target)].float(), target)
    assert losses == pytest.approx([float(expected)] * 2, abs=1e-4)
    torch.testing.assert_close(slot.key(), key, atol=1e-5, rtol=1e-4)
