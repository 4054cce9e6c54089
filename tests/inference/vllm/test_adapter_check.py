"""Changes of log-probabilities by which it is checked that an adapter reaches the served model."""

from __future__ import annotations

import math

import pytest
import torch

from sequela.edited import Delta, EditedModel, LowRank
from sequela.inference.vllm.adapter_check import MAX_DEVIATION, N_TOKENS, changes_of, deviation
from support.tiny import KEY_WIDTH, WIDTH, tiny_language_model

PROMPT = (5, 6, 7)


def edited(scale: float) -> EditedModel:
    model = tiny_language_model("llama")
    source = torch.Generator().manual_seed(0)
    update = LowRank(
        scale * torch.randn(WIDTH, 2, generator=source), torch.randn(2, KEY_WIDTH, generator=source)
    )
    return EditedModel(model, Delta(model.fingerprint, {model.family.mlp_out_name(2): update}))


def test_the_changes_are_those_of_the_edits_in_force() -> None:
    with edited(1.0) as model:
        changes = changes_of(model.base, PROMPT)
        found = model.base.module(torch.tensor([PROMPT])).logits[0, -1].log_softmax(-1)
    before = model.base.module(torch.tensor([PROMPT])).logits[0, -1].log_softmax(-1)
    assert len(changes) == N_TOKENS
    assert changes == pytest.approx({token: float(found[token] - before[token]) for token in changes})
    assert min(map(abs, changes.values())) >= float((found - before).abs().sort().values[-N_TOKENS - 1])


@pytest.mark.parametrize("scale", [0.0, 1e-6, math.nan, math.inf])
def test_a_prompt_that_shows_nothing_has_no_changes(scale: float) -> None:
    with edited(scale) as model:
        assert changes_of(model.base, PROMPT) == {}


@pytest.mark.parametrize(("share", "works"), [(1, True), (0.98, True), (0, False), (0.3, False), (-1, False)])
def test_an_adapter_works_if_it_changes_what_the_edits_change(share: float, works: bool) -> None:
    expected = {3: 0.5, 9: -2.0, 4: 1.0}
    off = deviation(expected, {token: share * change for token, change in expected.items()})
    assert off == pytest.approx(abs(1 - share))
    assert (off <= MAX_DEVIATION) == works
    assert not deviation(expected, dict.fromkeys(expected, math.nan)) <= MAX_DEVIATION
