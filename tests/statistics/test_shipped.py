"""Shipped corpora equal those of their recipe, and are found only by their model and recipe."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sequela.core.errors import SequelaError
from sequela.core.progress import SilentProgress
from sequela.inference.sampling import draw
from sequela.inference.torch.lm_head import Head
from sequela.models import LanguageModel, load_model
from sequela.statistics import Corpus, CorpusSpec, open_corpus
from sequela.statistics import shipped as shipped_module
from sequela.statistics.corpus import corpus_key, sample_corpus, sampling_starts
from sequela.statistics.shipped import shipped_path, shipped_sequences
from support.tiny import tiny_language_model

DEFAULT = "df151cdd4d171806"
"""The fingerprint of the default model, smollm2-135m-instruct, in float32."""

NEAR_TIES = 0.001
"""The share of draws that may differ on another kind of processor."""


def test_the_default_model_finds_ten_tokens_for_each_dimension_of_its_key() -> None:
    tiny = tiny_language_model("llama")
    recipe = corpus_key(CorpusSpec(n_tokens=10 * 1536), tiny)
    found = shipped_sequences(DEFAULT, recipe)
    assert found is not None
    assert found.shape == (60, 256)
    assert found.dtype == torch.long
    assert len({int(row[0]) for row in found}) == 60


def test_another_model_or_recipe_finds_nothing() -> None:
    tiny = tiny_language_model("llama")
    spec = CorpusSpec(n_tokens=10 * 1536)
    assert shipped_sequences(tiny.fingerprint, corpus_key(spec, tiny)) is None
    for other in ({"seed": 1}, {"window": 128}, {"n_tokens": 1536}):
        assert shipped_sequences(DEFAULT, corpus_key(spec.model_copy(update=other), tiny)) is None


def test_a_shipped_corpus_is_used_instead_of_sampling(
    tmp_path: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipped_module, "_DATA", tmp_path)
    model, spec = tiny_language_model("llama"), CorpusSpec(n_tokens=64, window=16)
    sampled = open_corpus(spec, model)
    np.save(
        shipped_path(model.fingerprint, corpus_key(spec, model)),
        sampled.sequences.flip(0).numpy().astype(np.uint16),
    )

    class Sampling(SilentProgress):
        def start(self, description: str, total: int | None) -> int:
            raise AssertionError(description)

    taken = open_corpus(spec, model, Sampling())
    assert taken.sequences.tolist() == sampled.sequences.flip(0).tolist()
    assert "shipped" in taken.description
    assert sample_corpus(spec, model).content_hash == sampled.content_hash


class Replay:
    """The draws of a recipe, repeated after the tokens of a corpus.

    Args:
        model: The model that the corpus was sampled from.
        corpus: The corpus.
        seed: The seed of the recipe.
    """

    def __init__(self, model: LanguageModel, corpus: Corpus, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        rows = corpus.sequences
        starts = torch.tensor(sampling_starts(model, len(rows), generator))
        assert torch.equal(rows[:, : starts.shape[1]], starts)
        head = Head(model)
        hidden = torch.cat([model.module.base_model(part).last_hidden_state for part in rows.split(8)])
        self.n_draws, self.n_other, self.surprise, self.variance = 0, 0, 0.0, 0.0
        for place in range(starts.shape[1] - 1, rows.shape[1] - 1):
            probabilities = torch.softmax(head.after_norm(hidden[:, place]), dim=-1)
            taken = rows[:, place + 1, None]
            self.n_draws += len(rows)
            self.n_other += int((draw(probabilities, generator) != taken).sum())
            losses = -probabilities.double().clamp_min(1e-30).log()
            entropy = (probabilities * losses).sum(-1)
            self.surprise += float((losses.gather(1, taken)[:, 0] - entropy).sum())
            self.variance += float((probabilities * (losses - entropy[:, None]) ** 2).sum())


@torch.inference_mode()
def test_a_replay_recognizes_a_sampled_corpus_and_no_other() -> None:
    model = tiny_language_model("llama")
    spec = CorpusSpec(n_tokens=320, window=32)
    sampled = sample_corpus(spec, model)
    assert Replay(model, sampled, seed=0).n_other <= 1
    turned = sampled.sequences.clone()
    turned[:, 1:] = turned[:, 1:].flip(0)
    replay = Replay(model, Corpus.of("turned", turned), seed=0)
    assert replay.n_other > replay.n_draws / 2


@pytest.mark.slow
@torch.inference_mode()
def test_the_shipped_tokens_are_those_that_the_recipe_draws() -> None:
    """Each token is drawn after the shipped ones before it, so that a different draw changes no other."""
    try:
        model = load_model("smollm2-135m-instruct")
    except SequelaError as error:
        pytest.skip(f"the default model can't be had: {error}")
    assert model.fingerprint == DEFAULT
    spec = CorpusSpec()
    replay = Replay(model, open_corpus(spec, model), spec.seed)
    assert replay.n_draws == 60 * 255
    # On average a sample is as improbable as the model's entropy says, whoever drew it.
    assert abs(replay.surprise) < 4 * math.sqrt(replay.variance)
    if torch.backends.mkl.is_available():  # on other devices PyTorch draws other random numbers
        assert replay.n_other <= NEAR_TIES * replay.n_draws, replay.n_other
