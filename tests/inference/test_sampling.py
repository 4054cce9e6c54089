"""Sampled text follows the model's probabilities and depends only on the seed."""

from __future__ import annotations

import pytest
import torch

from sequela.core.errors import SequelaError
from sequela.core.progress import SilentProgress
from sequela.inference.sampling import sample_texts, sample_tokens
from sequela.models import LanguageModel
from support.tiny import tiny_language_model


def test_the_same_seed_gives_the_same_rows(any_family: LanguageModel) -> None:
    starts = [(5, 6), (7, 8), (9, 10)]
    rows = [sample_tokens(any_family, starts, 12, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert rows[0] == rows[1] != rows[2]
    assert [row[:2] for row in rows[0]] == starts
    assert all(len(row) == 14 for row in rows[0])


def test_texts_equal_those_of_plain_sampling(any_family: LanguageModel) -> None:
    """Both functions draw the same random numbers; only rounding could make the texts differ."""
    starts = [(5, 6), (7, 8), (9, 10)]
    plain, fast = (
        sample(any_family, starts, 40, torch.Generator().manual_seed(3))
        for sample in (sample_tokens, sample_texts)
    )
    assert fast == plain


def test_every_sampled_token_is_counted() -> None:
    class Counted(SilentProgress):
        total, units = 0, list[int]()

        def start(self, description: str, total: int | None) -> int:
            self.total = total or 0
            return 0

        def advance(self, task: int, units: int = 1) -> None:
            self.units.append(units)

    counted = Counted()
    sample_texts(tiny_language_model("llama"), [(5,), (6,)], 9, torch.Generator(), counted)
    assert counted.total == 18
    assert counted.units == [2] * 9


def test_with_top_k_of_one_the_most_likely_token_is_taken(any_family: LanguageModel) -> None:
    """With `top_k` 1 nothing is random: every token is the most likely one of one whole pass."""
    (row,) = sample_tokens(any_family, [(5, 6)], 12, torch.Generator(), top_k=1)
    best = any_family.module(torch.tensor([row])).logits[0].argmax(-1).tolist()
    assert list(row[2:]) == best[1:-1]


def test_tokens_are_sampled_as_often_as_they_are_likely() -> None:
    model = tiny_language_model("llama")
    probabilities = model.module(torch.tensor([[5, 6]])).logits[0, -1].softmax(-1)
    rows = sample_tokens(model, [(5, 6)] * 4000, 1, torch.Generator().manual_seed(0))
    counts = torch.bincount(torch.tensor([row[-1] for row in rows]), minlength=len(probabilities))
    spread = (4000 * probabilities * (1 - probabilities)).sqrt()
    assert ((counts - 4000 * probabilities).abs() < 5 * spread + 3).all()


def test_a_model_with_logits_that_are_not_finite_is_an_error() -> None:
    model = tiny_language_model("llama")
    model.mlp_out_weight(1).data[0, 0] = float("nan")
    with pytest.raises(SequelaError, match="not all finite"):
        sample_tokens(model, [(5, 6)], 2, torch.Generator())


def test_rows_of_different_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match="same length"):
        sample_tokens(tiny_language_model("llama"), [(5,), (5, 6)], 1, torch.Generator())
