"""The target optimization replays the model's upper part; a naive loop over full passes must agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.editors.shared import target_optimization
from sequela.editors.shared.target_batch import ESSENCE_PROMPT
from sequela.editors.shared.target_optimization import (
    STOP_BELOW,
    Losses,
    Target,
    TargetHyperparameters,
    optimize_targets,
)
from sequela.edits import Edit
from sequela.models import LanguageModel, TokenizedPrompt, tokenize_prompt
from sequela.models.forward.activations import Site
from support.edits import CONTEXTS, TINY_EDITS
from support.tiny import LAYERS, tiny_language_model

SITES = (Site("value", 1), Site("block", 2), Site("block", LAYERS - 1))
CASES = (
    (SITES[0], TINY_EDITS[2]),
    (SITES[0], TINY_EDITS[3]),
    (SITES[1], TINY_EDITS[4]),
    (SITES[2], TINY_EDITS[0]),
)
"""At the last block only a subject at the end of the prompt affects the next token."""


def optimize_target(
    model: LanguageModel, edit: Edit, contexts: Sequence[str], site: Site, settings: TargetHyperparameters
) -> Target:
    """Optimizes the target of one edit at one site."""
    (targets,) = optimize_targets(model, [edit], contexts, [site], settings)
    return targets[site]


class Naive:
    """The same losses from one full, unpadded forward pass per row."""

    def __init__(self, model: LanguageModel, edit: Edit, site: Site) -> None:
        self.model, self.site = model, site
        self.rewrites = [
            tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, edit.target_new, context)
            for context in CONTEXTS
        ]
        self.essence = tokenize_prompt(model.tokenizer, ESSENCE_PROMPT, edit.subject)
        before = self.log_probabilities(self.essence, None)
        self.essence_before = before[self.essence.subject_last]
        self.initial = self.seen[tokenize_prompt(model.tokenizer, edit.prompt, edit.subject).subject_last]
        through_norm = model.family.name in ("gemma2", "gemma3", "olmo2") and site.kind == "value"
        self.unit = float(self.initial.square().mean().sqrt()) if through_norm else 1.0

    def log_probabilities(self, prompt: TokenizedPrompt, delta: torch.Tensor | None) -> torch.Tensor:
        def at_site(_: Any, __: Any, output: Any) -> Any:
            hidden = output[0] if isinstance(output, tuple) else output
            if delta is None:
                return output
            changed = hidden.clone()
            changed[0, prompt.subject_last] += delta
            return (changed, *output[1:]) if isinstance(output, tuple) else changed

        family = self.model.family
        find = family.mlp_out_module if self.site.kind == "value" else family.block
        hook = find(self.model.module, self.site.layer).register_forward_hook(at_site)
        try:
            logits = self.model.module(torch.tensor([prompt.ids])).logits[0]
        finally:
            hook.remove()
        return torch.log_softmax(logits, dim=-1)

    @property
    def seen(self) -> torch.Tensor:
        """The values of the site in the bare prompt, `[tokens, d]`."""
        kept: list[torch.Tensor] = []
        family = self.model.family
        find = family.mlp_out_module if self.site.kind == "value" else family.block
        hook = find(self.model.module, self.site.layer).register_forward_hook(
            lambda _, __, output: kept.append(output[0] if isinstance(output, tuple) else output)
        )
        try:
            with torch.no_grad():
                self.model.module(torch.tensor([self.rewrites[0].prompt_ids]))
        finally:
            hook.remove()
        return kept[0][0]

    def terms(
        self, delta: torch.Tensor, settings: TargetHyperparameters
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        likelihoods = []
        for prompt in self.rewrites:
            rows = self.log_probabilities(prompt, self.unit * delta)
            first = len(prompt.prompt_ids)
            picked = [rows[first + i - 1, token] for i, token in enumerate(prompt.target_ids)]
            likelihoods.append(torch.stack(picked).mean())
        after = self.log_probabilities(self.essence, self.unit * delta)[self.essence.subject_last]
        kl = (after.exp() * (after - self.essence_before.detach())).sum()
        decay = settings.v_weight_decay * delta.norm() / (self.initial / self.unit).norm() ** 2
        return -torch.stack(likelihoods).mean(), settings.kl_factor * kl, decay

    def optimize(self, settings: TargetHyperparameters) -> tuple[torch.Tensor, list[list[float]]]:
        delta = torch.zeros_like(self.initial, requires_grad=True)
        adam = torch.optim.Adam([delta], lr=settings.v_lr)
        losses = []
        for step in range(settings.v_num_grad_steps):
            terms = self.terms(delta, settings)
            losses.append([float(term.detach()) for term in (sum(terms), *terms)])
            if step == settings.v_num_grad_steps - 1 or losses[-1][0] < STOP_BELOW:
                break
            adam.zero_grad()
            sum(terms).backward()
            adam.step()
            bound = float(settings.clamp_norm_factor * self.initial.norm() / self.unit)
            with torch.no_grad():
                delta *= min(1.0, bound / float(delta.norm()))
        return self.unit * delta.detach(), losses


def as_row(losses: Losses) -> list[float]:
    return [losses.total, losses.likelihood, losses.kl, losses.weight_decay]


@pytest.mark.parametrize(("site", "edit"), CASES, ids=lambda part: getattr(part, "kind", None) or part.id)
def test_it_agrees_with_the_naive_loop(any_family: LanguageModel, site: Site, edit: Edit) -> None:
    settings = TargetHyperparameters(v_num_grad_steps=4, v_lr=0.3, clamp_norm_factor=1.5)
    naive = Naive(any_family, edit, site)
    delta, losses = naive.optimize(settings)
    target = optimize_target(any_family, edit, CONTEXTS, site, settings)
    torch.testing.assert_close(target.initial, naive.initial, atol=1e-5, rtol=1e-4)
    actual = torch.tensor([as_row(step) for step in target.losses])
    torch.testing.assert_close(actual, torch.tensor(losses), atol=2e-4, rtol=2e-4)
    assert float((target.delta - delta).norm() / delta.norm()) < 2e-3
    assert float(delta.norm()) > 0.1


@settings(max_examples=12, deadline=None)
@given(
    number=st.integers(0, len(TINY_EDITS) - 1),
    lr=st.floats(0.01, 3.0),
    bound=st.floats(0.05, 5.0),
    steps=st.integers(1, 5),
    site=st.sampled_from(SITES),
)
def test_the_last_loss_is_the_loss_of_the_delta_and_the_bound_holds(
    number: int, lr: float, bound: float, steps: int, site: Site
) -> None:
    model, edit = tiny_language_model("llama"), TINY_EDITS[number]
    chosen = TargetHyperparameters(v_num_grad_steps=steps, v_lr=lr, clamp_norm_factor=bound)
    target = optimize_target(model, edit, CONTEXTS, site, chosen)
    assert len(target.losses) <= steps
    assert float(target.delta.norm()) <= bound * float(target.initial.norm()) * (1 + 1e-5)
    with torch.no_grad():
        terms = [float(term) for term in Naive(model, edit, site).terms(target.delta, chosen)]
    assert as_row(target.losses[-1]) == pytest.approx([sum(terms), *terms], abs=3e-4, rel=3e-4)


def test_the_bound_is_reached_when_the_steps_are_long() -> None:
    model = tiny_language_model("llama")
    chosen = TargetHyperparameters(v_num_grad_steps=3, v_lr=50.0, clamp_norm_factor=0.5)
    target = optimize_target(model, TINY_EDITS[0], CONTEXTS, SITES[0], chosen)
    assert float(target.delta.norm() / target.initial.norm()) == pytest.approx(0.5, rel=1e-5)


def test_it_ends_once_the_loss_is_small() -> None:
    model = tiny_language_model("gpt_neox")
    model.module.get_output_embeddings().weight.data *= 8  # a model that can be sure of a token
    chosen = TargetHyperparameters(
        v_num_grad_steps=200, v_lr=1.0, clamp_norm_factor=1000.0, kl_factor=0.0, v_weight_decay=0.0
    )
    edit = TINY_EDITS[0].model_copy(update={"target_new": "the"})  # one token, right behind the subject
    target = optimize_target(model, edit, CONTEXTS[:1], SITES[2], chosen)
    assert len(target.losses) < 200
    assert target.losses[-1].total < STOP_BELOW <= min(step.total for step in target.losses[:-1])


def test_it_leaves_the_model_unchanged(any_family: LanguageModel) -> None:
    before = {name: weight.clone() for name, weight in any_family.module.named_parameters()}
    chosen = TargetHyperparameters(v_num_grad_steps=2)
    for site in SITES:
        optimize_target(any_family, TINY_EDITS[0], CONTEXTS, site, chosen)
    for name, weight in any_family.module.named_parameters():
        assert torch.equal(weight, before[name])
        assert weight.grad is None
        assert not weight.requires_grad
    assert not any(module._forward_hooks for module in any_family.module.modules())


def test_the_failure_names_what_is_not_finite() -> None:
    finite, not_finite = torch.ones(3), torch.tensor([1.0, float("nan"), 0.0])
    fine, broken = Losses(1.0, 1.0, 0.0, 0.0), Losses(float("nan"), 0.0, 0.0, 0.0)
    assert Target(finite, finite, (broken, fine)).failure == ""
    assert "value" in Target(not_finite, finite, (fine,)).failure
    assert "loss" in Target(finite, finite, (fine, broken)).failure


# Many edits in parallel


@pytest.mark.parametrize("sites", [[SITES[0]], [SITES[1]], [Site("value", 2), Site("attention", 2)]])
def test_edits_in_parallel_give_the_same_as_one_by_one(any_family: LanguageModel, sites: list[Site]) -> None:
    """The targets, prompts and subjects differ in length."""
    chosen = TargetHyperparameters(v_num_grad_steps=4, v_lr=0.3, clamp_norm_factor=1.5)
    together = optimize_targets(any_family, TINY_EDITS, CONTEXTS, sites, chosen)
    for edit, targets in zip(TINY_EDITS, together, strict=True):
        (alone,) = optimize_targets(any_family, [edit], CONTEXTS, sites, chosen)
        for site in sites:
            assert len(targets[site].losses) == len(alone[site].losses)
            torch.testing.assert_close(targets[site].initial, alone[site].initial, atol=1e-5, rtol=1e-4)
            assert float((targets[site].delta - alone[site].delta).norm()) < 2e-3 * float(
                alone[site].delta.norm()
            )


def test_each_edit_ends_independently(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a bound that some edits reach sooner than others, the ended ones don't change any further."""
    model = tiny_language_model("llama")
    chosen = TargetHyperparameters(
        v_num_grad_steps=30, v_lr=0.5, clamp_norm_factor=100.0, kl_factor=0.0, v_weight_decay=0.0
    )
    first = [optimize_target(model, edit, CONTEXTS, SITES[0], chosen).losses for edit in TINY_EDITS]
    halfway = sorted(losses[len(losses) // 2].total for losses in first)[len(first) // 2]
    monkeypatch.setattr(target_optimization, "STOP_BELOW", halfway)
    together = optimize_targets(model, TINY_EDITS, CONTEXTS, [SITES[0]], chosen)
    steps = [len(targets[SITES[0]].losses) for targets in together]
    assert len(set(steps)) > 1
    for edit, targets in zip(TINY_EDITS, together, strict=True):
        alone = optimize_target(model, edit, CONTEXTS, SITES[0], chosen)
        assert len(alone.losses) == len(targets[SITES[0]].losses)
        torch.testing.assert_close(alone.delta, targets[SITES[0]].delta, atol=2e-3, rtol=2e-3)


def test_the_number_of_edits_in_parallel_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_language_model("gpt2")
    chosen = TargetHyperparameters(v_num_grad_steps=3)
    together = optimize_targets(model, TINY_EDITS, CONTEXTS, [SITES[0]], chosen)
    monkeypatch.setattr(target_optimization, "TOKENS_AT_ONCE", 1)
    alone = optimize_targets(model, TINY_EDITS, CONTEXTS, [SITES[0]], chosen)
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one[SITES[0]].delta, other[SITES[0]].delta, atol=1e-3, rtol=1e-3)


def test_a_loss_that_is_not_finite_ends_only_its_own_edit() -> None:
    model = tiny_language_model("llama", tie_word_embeddings=False)
    good, bad = TINY_EDITS[2], TINY_EDITS[4]
    chosen = TargetHyperparameters(v_num_grad_steps=3)
    expected = optimize_target(model, good, CONTEXTS, SITES[0], chosen)
    token = model.tokenizer(bad.subject)["input_ids"][-1]
    model.module.get_input_embeddings().weight.data[token] = float("nan")
    broken, fine = optimize_targets(model, [bad, good], CONTEXTS, [SITES[0]], chosen)
    assert broken[SITES[0]].failure
    assert len(broken[SITES[0]].losses) == 1
    torch.testing.assert_close(fine[SITES[0]].delta, expected.delta, atol=1e-4, rtol=1e-4)
