"""The key covariance is the mean outer product of the keys, independent of the batches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.core.errors import SequelaError
from sequela.edited import Delta, EditedModel, LowRank
from sequela.models import LanguageModel
from sequela.models.forward.onednn_linear import onednn_linears
from sequela.statistics import Corpus, collect_key_covariances, second_moments
from support.tiny import KEY_WIDTH, WIDTH, tiny_language_model


def corpus_of(model: LanguageModel, rows: int, window: int, seed: int = 0) -> Corpus:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(len(model.tokenizer), (rows, window), generator=generator)
    return Corpus.of("random tokens", ids)


def direct(model: LanguageModel, corpus: Corpus, layer: int) -> torch.Tensor:
    """Row by row, one plain forward pass each with the same linear layers, all else in float64."""
    keys: list[torch.Tensor] = []
    module = model.family.mlp_out_module(model.module, layer)
    hook = module.register_forward_pre_hook(lambda _, args: keys.append(args[0][0].double()))
    with torch.no_grad(), onednn_linears([model.module]):
        for row in corpus.sequences:
            model.module(row[None])
    hook.remove()
    flat = torch.cat(keys)
    return flat.T @ flat / len(flat)


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.double() - wanted).norm() / wanted.norm())


def test_it_is_the_mean_outer_product_of_the_keys(any_family: LanguageModel) -> None:
    corpus = corpus_of(any_family, 6, 20)
    moments = collect_key_covariances(any_family, corpus, [0, 2])
    for layer in (0, 2):
        assert moments[layer].n_tokens == 120
        assert moments[layer].matrix.dtype == torch.float32
        assert relative(moments[layer].matrix, direct(any_family, corpus, layer)) < 1e-6
        assert torch.equal(moments[layer].matrix, moments[layer].matrix.T)


@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 9), window=st.integers(2, 30), at_once=st.integers(1, 200), seed=st.integers(0, 9))
def test_it_does_not_depend_on_the_batches(rows: int, window: int, at_once: int, seed: int) -> None:
    model = tiny_language_model("llama")
    corpus = corpus_of(model, rows, window, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(second_moments, "TOKENS_AT_ONCE", at_once)
        found = collect_key_covariances(model, corpus, [1])[1].matrix
    assert relative(found, direct(model, corpus, 1)) < 1e-6


def test_layers_collected_together_are_as_collected_alone() -> None:
    model = tiny_language_model("gpt2")
    corpus = corpus_of(model, 4, 16)
    together = collect_key_covariances(model, corpus, [0, 1, 3])
    for layer in (0, 1, 3):
        alone = collect_key_covariances(model, corpus, [layer])
        assert torch.equal(together[layer].matrix, alone[layer].matrix)


def test_an_edited_model_is_refused() -> None:
    model = tiny_language_model("llama")
    update = LowRank(torch.ones(WIDTH, 1), torch.ones(1, KEY_WIDTH))
    delta = Delta(model.fingerprint, {model.family.mlp_out_name(0): update})
    with EditedModel(model, delta), pytest.raises(SequelaError, match="unedited"):
        collect_key_covariances(model, corpus_of(model, 1, 8), [1])


def test_keys_that_are_not_finite_are_an_error_by_layer() -> None:
    model = tiny_language_model("llama")
    model.mlp_out_weight(1).data[0, 0] = float("nan")
    with pytest.raises(SequelaError, match=r"layer 2 .* not all finite"):
        collect_key_covariances(model, corpus_of(model, 1, 8), [0, 2])


def test_layers_out_of_range_are_an_error() -> None:
    model = tiny_language_model("llama")
    with pytest.raises(SequelaError, match="Invalid layer 4;"):
        collect_key_covariances(model, corpus_of(model, 1, 8), [3, 4])
