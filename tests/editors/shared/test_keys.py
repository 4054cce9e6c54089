"""Keys and values at the subject's last token, compared with plain full passes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sequela.editors.shared import keys
from sequela.editors.shared.keys import in_contexts, mean_weights, read_at_subject
from sequela.models import LanguageModel, TokenizedPrompt
from sequela.models.forward.activations import Site
from support.edits import CONTEXTS, TINY_EDITS
from support.tiny import tiny_language_model

SITES = (Site("key", 1), Site("value", 1), Site("block", 2))


def plainly(model: LanguageModel, prompt: TokenizedPrompt) -> dict[Site, torch.Tensor]:
    """Runs one full pass over one row, without padding or truncation."""
    seen: dict[Site, torch.Tensor] = {}

    def first(output: Any) -> torch.Tensor:
        return (output[0] if isinstance(output, tuple) else output)[0, prompt.subject_last]

    projection = model.family.mlp_out_module(model.module, 1)
    hooks = [
        projection.register_forward_pre_hook(lambda _, args: seen.update({SITES[0]: first(args[0])})),
        projection.register_forward_hook(lambda _, __, output: seen.update({SITES[1]: first(output)})),
        model.family.block(model.module, 2).register_forward_hook(
            lambda _, __, output: seen.update({SITES[2]: first(output)})
        ),
    ]
    with torch.no_grad():
        model.module(torch.tensor([prompt.ids]))
    for hook in hooks:
        hook.remove()
    return seen


def all_prompts(model: LanguageModel) -> list[TokenizedPrompt]:
    return [prompt for edit in TINY_EDITS for prompt in in_contexts(model, edit, CONTEXTS)]


@pytest.mark.parametrize("budget", [4096, 30])
def test_activations_are_those_of_a_plain_pass(
    any_family: LanguageModel, monkeypatch: pytest.MonkeyPatch, budget: int
) -> None:
    """They are in the order of the prompts, regardless of the batches."""
    monkeypatch.setattr(keys, "TOKENS_AT_ONCE", budget)
    prompts = all_prompts(any_family)
    read = read_at_subject(any_family, prompts, SITES)
    for site in SITES:
        expected = torch.stack([plainly(any_family, prompt)[site] for prompt in prompts])
        torch.testing.assert_close(read[site], expected, atol=2e-5, rtol=2e-4)


def test_prompts_come_context_by_context_without_a_target() -> None:
    model, edit = tiny_language_model("llama"), TINY_EDITS[1]
    texts = [prompt.text for prompt in in_contexts(model, edit, CONTEXTS)]
    assert texts == [context.replace("{}", edit.question) for context in CONTEXTS]


def test_the_key_times_the_weight_is_the_value(any_family: LanguageModel) -> None:
    read = read_at_subject(any_family, all_prompts(any_family), SITES[:2])
    weight = any_family.family.as_out_in(any_family.mlp_out_weight(1))
    bias = getattr(any_family.family.mlp_out_module(any_family.module, 1), "bias", None)
    value = read[SITES[0]] @ weight.T + (0 if bias is None else bias)
    torch.testing.assert_close(value, read[SITES[1]], atol=2e-5, rtol=2e-4)


@pytest.mark.parametrize("n_contexts", [1, 2, 6])
@pytest.mark.parametrize("bare_half", [True, False])
def test_mean_weights_sum_to_one(n_contexts: int, bare_half: bool) -> None:
    weights = mean_weights(n_contexts, bare_half=bare_half)
    assert weights.shape == (n_contexts,)
    assert float(weights.sum()) == pytest.approx(1.0)
    assert torch.allclose(weights[1:], weights[1:].mean()) or n_contexts == 1
    alone = 1.0 if n_contexts == 1 else 0.5 if bare_half else 1 / n_contexts
    assert float(weights[0]) == pytest.approx(alone)
