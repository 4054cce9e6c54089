"""Causal tracing compared with whole passes with hooks, and its properties by construction."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch

from sequela.core.errors import SequelaError
from sequela.models import LanguageModel, TokenizedPrompt, tokenize_prompt
from sequela.models.forward.activations import Site, module_at
from sequela.models.forward.batch import pad_right
from sequela.models.forward.replay import record_forward
from sequela.tracing.causal_trace import CausalTrace, TraceSettings, _corrupted, causal_trace
from support.edits import TINY_EDITS
from support.tiers import QUICK_FAMILIES, quick_cases
from support.tiny import FAMILY_NAMES, LAYERS, tiny_language_model

FEW = TraceSettings(samples=2, window=2)


def prompt_of(model: LanguageModel, number: int = 3) -> TokenizedPrompt:
    edit = TINY_EDITS[number]
    return tokenize_prompt(model.tokenizer, f"Now then: {edit.prompt}", edit.subject)


def literally(
    model: LanguageModel, prompt: TokenizedPrompt, settings: TraceSettings
) -> tuple[float, torch.Tensor]:
    """Returns the corrupted probability, and those with each state restored, by one whole pass each."""
    ids = torch.tensor([prompt.ids])
    blocks = model.family.block_list(model.module)
    clean: dict[Site, torch.Tensor] = {}

    def remember(site: Site) -> Any:
        def hook(_: Any, __: Any, output: Any) -> None:
            clean[site] = (output[0] if isinstance(output, tuple) else output).detach().clone()

        return module_at(model, site).register_forward_hook(hook)

    hooks = [remember(Site(settings.kind, layer)) for layer in range(LAYERS)]
    with torch.no_grad():
        logits = model.module(ids).logits[0, -1]
    for hook in hooks:
        hook.remove()
    answer = int(logits.argmax())
    noisy = _corrupted(
        record_forward(model, pad_right([prompt.ids], 0, model.device), 0), prompt, settings
    ).hidden

    def run(row: int, sites: list[Site], token: int) -> float:
        def enter(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
            return (noisy[row : row + 1], *args[1:])

        def put_back(site: Site) -> Any:
            def hook(_: Any, __: Any, output: Any) -> Any:
                hidden = (output[0] if isinstance(output, tuple) else output).clone()
                hidden[0, token] = clean[site][0, token]
                return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

            return module_at(model, site).register_forward_hook(hook)

        handles = [blocks[0].register_forward_pre_hook(enter), *(put_back(site) for site in sites)]
        with torch.no_grad():
            found = torch.softmax(model.module(ids).logits[0, -1].float(), -1)[answer]
        for handle in handles:
            handle.remove()
        return float(found)

    rows = range(settings.samples)
    corrupted = sum(run(row, [], 0) for row in rows) / settings.samples
    wanted = torch.zeros(len(prompt.ids), LAYERS)
    for layer in range(LAYERS):
        near = [layer - 1, layer] if settings.kind != "block" and settings.window == 2 else [layer]
        sites = [Site(settings.kind, number) for number in near if number >= 0]
        for token in range(len(prompt.ids)):
            wanted[token, layer] = sum(run(row, sites, token) for row in rows) / settings.samples
    return corrupted, wanted


def ends(window: int, n_layers: int = 12) -> list[tuple[int, int]]:
    """Returns the lowest and the highest layer of the window of each layer."""
    settings = TraceSettings(kind="value", window=window)
    windows = [settings.restored_layers(n, n_layers) for n in range(n_layers)]
    return [(layers[0], layers[-1]) for layers in windows]


def test_windows_are_those_of_the_released_code() -> None:
    below, above = [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6], [4, 5, 6, 7, 8, 9, 10, 11, 11, 11, 11, 11]
    assert ends(10) == list(zip(below, above, strict=True))
    assert ends(1) == [(layer, layer) for layer in range(12)]
    assert ends(3) == [(max(0, layer - 1), min(11, layer + 1)) for layer in range(12)]
    assert ends(2) == [(max(0, layer - 1), layer) for layer in range(12)]
    assert ends(100) == [(0, 11)] * 12


@pytest.mark.parametrize("window", [1, 2, 5, 10])
@pytest.mark.parametrize("kind", ["value", "attention"])
def test_a_window_contains_its_layer_and_differs_from_the_next(kind: Any, window: int) -> None:
    windows = [TraceSettings(kind=kind, window=window).restored_layers(layer, 30) for layer in range(30)]
    assert all(layer in layers and len(layers) <= window for layer, layers in enumerate(windows))
    assert len(set(windows)) == 30


@pytest.mark.parametrize("kind", ["block", "value", "attention"])
@pytest.mark.parametrize("name", quick_cases(FAMILY_NAMES, QUICK_FAMILIES))
def test_it_equals_whole_passes(name: str, kind: Any) -> None:
    model = tiny_language_model(name)
    settings = FEW.model_copy(update={"kind": kind})
    prompt = prompt_of(model)
    found = causal_trace(model, prompt, settings)
    corrupted, wanted = literally(model, prompt, settings)
    assert found.corrupted == pytest.approx(corrupted, rel=1e-3)
    torch.testing.assert_close(found.restored, wanted, rtol=1e-3, atol=1e-6)


def check_by_construction(found: CausalTrace) -> None:
    """Checks that after the last block only the last token matters, and restoring it restores everything."""
    first, _ = found.subject
    assert found.restored.shape == (len(found.tokens), LAYERS)
    assert found.restored[-1, -1] == pytest.approx(found.clean, rel=1e-4)
    torch.testing.assert_close(
        found.restored[:-1, -1], torch.full_like(found.restored[:-1, -1], found.corrupted)
    )
    torch.testing.assert_close(
        found.restored[:first], torch.full_like(found.restored[:first], found.corrupted), rtol=1e-4, atol=1e-7
    )
    assert found.clean > found.corrupted


def test_its_properties_by_construction() -> None:
    model = tiny_language_model("llama")
    check_by_construction(causal_trace(model, prompt_of(model), TraceSettings(samples=8)))


def test_a_window_of_all_layers_restores_the_last_token_except_its_embedding() -> None:
    """With the subject last, the outputs of its MLPs and attention are restored, but not its embedding."""
    model = tiny_language_model("llama")
    settings = TraceSettings(kind="value", window=1, samples=2)
    wide = settings.model_copy(update={"window": 2 * LAYERS})
    narrow, whole = (causal_trace(model, prompt_of(model), one).restored for one in (settings, wide))
    assert not torch.allclose(narrow, whole)
    torch.testing.assert_close(whole[:, 0], whole[:, LAYERS - 1])


def test_the_number_of_rows_at_once_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_language_model("gpt2")
    wanted = causal_trace(model, prompt_of(model), FEW)
    monkeypatch.setattr(sys.modules[causal_trace.__module__], "TOKENS_AT_ONCE", 1)
    torch.testing.assert_close(
        causal_trace(model, prompt_of(model), FEW).restored, wanted.restored, rtol=1e-4, atol=1e-7
    )


def test_the_seed_fixes_the_noise() -> None:
    model = tiny_language_model("gpt2")
    first, again = (causal_trace(model, prompt_of(model), FEW) for _ in range(2))
    other = causal_trace(model, prompt_of(model), FEW.model_copy(update={"seed": 1}))
    assert torch.equal(first.restored, again.restored)
    assert not torch.equal(first.restored, other.restored)


def test_a_prompt_without_a_subject_is_an_error() -> None:
    model = tiny_language_model("gpt2")
    with pytest.raises(SequelaError, match="no subject"):
        causal_trace(model, tokenize_prompt(model.tokenizer, "The sea was calm"), FEW)
