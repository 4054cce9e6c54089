"""Perplexity is the exponential of the mean loss over windows, and never hides a loss that is not finite."""

from __future__ import annotations

import math

import pytest
import torch

from sequela.core.errors import SequelaError
from sequela.edited import EditedModel
from sequela.inference import TorchEngine, perplexity
from sequela.models import LanguageModel
from support.tiny import tiny_language_model
from support.tokenizers import TEXT

WORDS = " ".join(TEXT[:4])
WINDOW = 16


def test_it_is_the_model_s_own_loss(any_family: LanguageModel) -> None:
    found = perplexity(TorchEngine(), EditedModel(any_family), WORDS, WINDOW)
    ids = any_family.tokenizer(WORDS, add_special_tokens=False)["input_ids"]
    begins = any_family.tokenizer("a")["input_ids"][0] == any_family.tokenizer.bos_token_id
    losses = []
    for start in range(0, len(ids) - WINDOW + 1, WINDOW):
        window = ids[start : start + WINDOW]
        row = torch.tensor([[any_family.tokenizer.bos_token_id, *window] if begins else window])
        logprobs = any_family.module(row).logits[0, -WINDOW:-1].log_softmax(-1)
        losses.append(float(-logprobs.gather(1, torch.tensor(window[1:])[:, None]).mean()))
    assert found.window_losses == pytest.approx(losses, abs=1e-4)
    assert found.mean_loss == pytest.approx(sum(losses) / len(losses), abs=1e-4)
    assert found.value == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-3)
    assert (found.n_windows, found.n_tokens) == (len(losses), len(losses) * (WINDOW - 1))
    assert found.stderr == pytest.approx(float(torch.tensor(losses).std()) / len(losses) ** 0.5, rel=1e-3)


def test_a_window_that_is_not_finite_makes_it_infinite() -> None:
    model = EditedModel(tiny_language_model("gptj"))
    token = model.base.tokenizer(WORDS)["input_ids"][WINDOW + 2]
    model.base.module.get_input_embeddings().weight.data[token] = math.nan
    found = perplexity(TorchEngine(), model, WORDS, WINDOW)
    assert 0 < found.n_nonfinite < found.n_windows
    assert found.window_losses.count(None) == found.n_nonfinite
    assert math.isfinite(found.mean_loss)
    assert found.value == math.inf


def test_a_text_shorter_than_a_window_is_one_window() -> None:
    found = perplexity(TorchEngine(), EditedModel(tiny_language_model("llama")), "Water runs", 400)
    assert found.n_windows == 1
    assert math.isnan(found.stderr)


@pytest.mark.parametrize("text", ["", "a"])
def test_a_text_with_nothing_to_predict_is_an_error(text: str) -> None:
    with pytest.raises(SequelaError, match="two tokens"):
        perplexity(TorchEngine(), EditedModel(tiny_language_model("llama")), text)
