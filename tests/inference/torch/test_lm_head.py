"""The head computes the model's own logits in float32, and marks those that are not finite."""

from __future__ import annotations

import math

import pytest
import torch

from sequela.inference.torch import lm_head as head_module
from sequela.inference.torch.lm_head import Head
from sequela.models import LanguageModel
from sequela.models.forward.batch import pad_right
from sequela.models.forward.replay import record_forward
from support.tiny import tiny_language_model

ROW = tuple(range(20, 31))


def blocks_output(model: LanguageModel) -> torch.Tensor:
    """Returns the last block's output for `ROW`, `[tokens, d]`."""
    return record_forward(model, pad_right([ROW], model.pad_id, model.device), first=model.n_layers).final[0]


def test_logits_are_the_model_s_own(any_family: LanguageModel) -> None:
    expected = any_family.module(torch.tensor([ROW])).logits[0]
    torch.testing.assert_close(
        Head(any_family).logits(blocks_output(any_family)), expected, rtol=1e-4, atol=1e-5
    )


def test_log_probabilities_are_read_once_per_position_in_order(
    any_family: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head_module, "POSITIONS", 4)
    hidden = blocks_output(any_family)
    logits = any_family.module(torch.tensor([ROW])).logits[0]
    at = []
    for positions, readings in Head(any_family).read(hidden):
        at += range(len(ROW))[positions]
        assert len(readings.logprobs) <= 4
        torch.testing.assert_close(readings.logprobs, logits[positions].log_softmax(-1), rtol=1e-4, atol=1e-5)
        assert torch.equal(readings.best, logits[positions].argmax(-1))
        assert readings.finite.all()
    assert at == list(range(len(ROW)))


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_only_positions_that_are_not_finite_are_marked(broken: float) -> None:
    model = tiny_language_model("llama")
    hidden = blocks_output(model).clone()
    hidden[3, 0] = broken
    ((_, readings),) = Head(model).read(hidden)
    assert readings.finite.tolist() == [position != 3 for position in range(len(ROW))]


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_one_token_s_logit_that_is_not_finite_is_enough(broken: float) -> None:
    model = tiny_language_model("llama", tie_word_embeddings=False)
    model.module.lm_head.weight.data[17] = broken
    ((_, readings),) = Head(model).read(blocks_output(model))
    assert not readings.finite.any()


def test_logits_are_float32_in_a_bfloat16_model(any_family: LanguageModel) -> None:
    wide = blocks_output(any_family)
    expected = Head(any_family).logits(wide)
    any_family.module.to(torch.bfloat16)
    found = Head(any_family).logits(wide.bfloat16())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.1)
    # More precise than bfloat16: they were not rounded on the way.
    assert not torch.equal(found, found.bfloat16().float())


def test_without_positions_nothing_is_read() -> None:
    model = tiny_language_model("llama")
    assert list(Head(model).read(torch.empty(0, model.hidden_size))) == []
