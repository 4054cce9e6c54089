"""An intervention decides at the last token of each context or prompt, however requests are batched."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.core.errors import SequelaError
from sequela.edited import EditedModel
from sequela.edited.decisions import Decisions, DecisionTokens
from sequela.inference import GenerationRequest, PlainEngine, TorchEngine, WorkingMemory
from sequela.inference.torch.hidden_state_cache import DepthCache
from sequela.models import LanguageModel
from sequela.models.forward.hooks import InstalledHooks
from support.tiers import quick_cases
from support.tiny import FAMILY_NAMES, tiny_language_model
from support.watched import alone, check_scores, check_texts, requests_of

LAYER = 2


@dataclass(frozen=True)
class Shift:
    """An intervention that shifts the deciding token and all later ones if its first input is positive there.

    It shifts the deciding token by 2 and the others by 1, so that a decision at a wrong position or for
    another row changes the result.
    """

    layer: int = LAYER

    @property
    def content_hash(self) -> str:
        return f"shift {self.layer}"

    def lowest_block(self, model: LanguageModel) -> int:
        return self.layer

    def install(self, model: LanguageModel, decisions: Decisions) -> InstalledHooks:
        def hook(inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
            tokens = decisions.current(inputs)
            decisions.note(tokens.decision_ids[tokens.decides], inputs[tokens.decides][:, 0] > 0)
            hit = [
                [decisions.hits.get(decision_id, False) for decision_id in row]
                for row in tokens.decision_ids.tolist()
            ]
            by = torch.tensor(hit).float() * (1 + tokens.decides.float())
            return outputs + by[..., None]

        return InstalledHooks(model, {model.family.mlp_out.format(self.layer): hook})


@pytest.mark.parametrize("family", quick_cases(FAMILY_NAMES, ("gpt_neox", "gptj", "gemma3")))
def test_scores_are_those_of_each_request_alone(family: str) -> None:
    model, requests = EditedModel(tiny_language_model(family), interventions=(Shift(),)), requests_of(1)
    hits = check_scores(TorchEngine(WorkingMemory(most_tokens=16)), model, requests)
    assert 0 < hits < len(requests) or family != "llama"
    check_scores(PlainEngine(40), model, requests)
    assert not model.base.changes


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), tokens=st.integers(1, 64))
def test_scores_do_not_depend_on_the_batch(seed: int, tokens: int) -> None:
    model = EditedModel(tiny_language_model("llama"), interventions=(Shift(),))
    check_scores(TorchEngine(WorkingMemory(most_tokens=tokens)), model, requests_of(seed))


def test_hidden_states_below_the_intervention_are_taken_from_the_cache() -> None:
    base, requests = tiny_language_model("llama"), requests_of(3)
    engine = TorchEngine(depth_cache=DepthCache(expected=frozenset({LAYER})))
    edited = EditedModel(base, interventions=(Shift(),))
    check_scores(engine, edited, requests)
    before = engine.counters.computed_blocks
    check_scores(engine, edited, requests)
    again = engine.counters.computed_blocks - before
    assert 0 < again < before


@pytest.mark.parametrize("family", quick_cases(FAMILY_NAMES, ("gpt_neox", "gptj", "gemma3")))
def test_texts_are_those_of_each_prompt_alone(family: str) -> None:
    """Compared with full passes for each token, the decision always at the end of the prompt."""
    model = EditedModel(tiny_language_model(family), interventions=(Shift(),))
    prompts = [request.context for request in requests_of(5)]
    hits = {
        hit
        for engine in (TorchEngine(WorkingMemory(most_rows=3)), PlainEngine(40))
        for hit in check_texts(engine, model, prompts)
    }
    assert hits == {True, False} or family != "llama"


def test_without_an_intervention_hit_is_none() -> None:
    model = EditedModel(tiny_language_model("llama"))
    (score,) = TorchEngine().score(model, requests_of(1)[:1])
    (text,) = TorchEngine().generate(model, [GenerationRequest((5, 6), 2)])
    assert score.hit is None
    assert text.hit is None


def test_a_pass_without_decision_tokens_is_an_error() -> None:
    """Nothing is taken over from an earlier pass."""
    model = EditedModel(tiny_language_model("llama"), interventions=(Shift(),))
    alone(model, [5, 6, 7], 2)
    with model, pytest.raises(SequelaError, match="without decision tokens"):
        model.base.module(torch.tensor([[5, 6, 7]]))
    tokens = DecisionTokens.at(torch.tensor([2]), 3)
    with (
        model,
        model.decisions.for_pass(tokens),
        pytest.raises(SequelaError, match=r"\[1, 4\] tokens was given"),
    ):
        model.base.module(torch.tensor([[5, 6, 7, 8]]))


def test_it_is_inactive_while_the_model_runs_unedited() -> None:
    model = EditedModel(tiny_language_model("llama"), interventions=(Shift(),))
    ids = torch.tensor([[5, 6, 7]])
    expected = model.base.module(ids).logits
    with model:
        with model.base.unedited():
            assert torch.equal(model.base.module(ids).logits, expected)
        with model.decisions.for_pass(DecisionTokens.at(torch.tensor([2]), 3)):
            model.base.module(ids)
        assert model.decisions.hits
    assert torch.equal(model.base.module(ids).logits, expected)
