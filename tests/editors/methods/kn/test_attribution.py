"""Attributions, compared with the literal formula and with properties of integrated gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from sequela.editors.methods.kn import attribution
from sequela.editors.methods.kn.attribution import Question, attributions
from sequela.models import LanguageModel
from sequela.models.forward.activations import Site, SiteKind, module_at
from support.tiny import FAMILY_NAMES, KEY_WIDTH, LAYERS, tiny_language_model

QUESTIONS = [Question((3, 1, 4, 1, 5, 9, 2, 6), 7), Question((8, 2), 3)]


@contextmanager
def replaced(model: LanguageModel, site: Site, put: Any) -> Iterator[None]:
    """Replaces the input of the site's module at the last position by the result of `put`."""

    def hook(_: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        inputs = args[0].clone()
        inputs[0, -1] = put(inputs[0, -1])
        return (inputs, *args[1:])

    handle = module_at(model, site).register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def probability(model: LanguageModel, question: Question) -> torch.Tensor:
    logits = model.module(torch.tensor([question.ids])).logits[0, -1]
    return torch.softmax(logits.float(), -1)[question.answer]


def activation(model: LanguageModel, question: Question, site: Site) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    with torch.no_grad(), replaced(model, site, lambda a: (seen.append(a), a)[1]):
        probability(model, question)
    return seen[0]


def literally(model: LanguageModel, question: Question, site: Site, n_points: int) -> torch.Tensor:
    a = activation(model, question, site)
    total = torch.zeros_like(a)
    for factor in torch.linspace(0, 1, n_points):
        with torch.enable_grad():
            scaled = (a * factor).requires_grad_(True)
            with replaced(model, site, lambda _, scaled=scaled: scaled):
                (gradient,) = torch.autograd.grad(probability(model, question), scaled)
        total += gradient
    return a * total / n_points


@pytest.mark.parametrize("kind", ["key", "preactivation"])
@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_attributions_are_those_of_the_formula(name: str, kind: SiteKind) -> None:
    model = tiny_language_model(name)
    result = attributions(model, QUESTIONS, 4, kind)
    assert result.scores.shape == (2, LAYERS, KEY_WIDTH)
    for row, question in enumerate(QUESTIONS):
        for layer in range(LAYERS):
            expected = literally(model, question, Site(kind, layer), 4)
            actual = result.scores[row, layer]
            assert float((actual - expected).norm()) < 2e-4 * float(expected.norm())
            key = activation(model, question, Site("key", layer))
            torch.testing.assert_close(result.keys[row, layer], key, rtol=1e-4, atol=1e-5)


def test_one_point_is_the_gradient_at_no_activation() -> None:
    """This is the published setting for large models."""
    model = tiny_language_model("llama")
    result = attributions(model, QUESTIONS[:1], 1, "preactivation")
    expected = literally(model, QUESTIONS[0], Site("preactivation", 2), 1)
    assert float((result.scores[0, 2] - expected).norm()) < 1e-4 * float(expected.norm())


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_the_attributions_of_a_layer_sum_to_its_effect(name: str) -> None:
    """This doesn't hold with a norm after the MLP, which maps all points except those near 0 to the same."""
    model, question = tiny_language_model(name), QUESTIONS[0]
    result = attributions(model, [question], 300)
    with torch.no_grad():
        with_it = probability(model, question)
        for layer in range(LAYERS):
            with replaced(model, Site("key", layer), torch.zeros_like):
                added = float(with_it - probability(model, question))
            assert float(result.scores[0, layer].sum()) == pytest.approx(added, rel=0.05, abs=1e-5)


def test_attributions_do_not_depend_on_the_rows_in_parallel(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_language_model("llama")
    expected = attributions(model, QUESTIONS, 6)
    monkeypatch.setattr(attribution, "TOKENS_AT_ONCE", 3)
    actual = attributions(model, QUESTIONS, 6)
    torch.testing.assert_close(actual.scores, expected.scores, rtol=1e-4, atol=1e-9)
