"""The fingerprint distinguishes models, and only real differences change it."""

from __future__ import annotations

import pytest
import torch
from transformers import PreTrainedTokenizer

from sequela.core.errors import SequelaError
from sequela.models import LanguageModel
from sequela.models.forward.batch import pad_right
from sequela.models.forward.replay import record_forward
from support.tiers import quick_cases
from support.tiny import FAMILY_NAMES, tiny_language_model, tiny_module
from support.tokenizers import byte_level, sentencepiece


def test_the_same_weights_have_the_same_fingerprint(any_family: LanguageModel) -> None:
    again = tiny_language_model(any_family.family.name)
    again.name = "otherwise called"
    assert again.fingerprint == any_family.fingerprint


def test_weights_configuration_and_tokenizer_each_count() -> None:
    flipped = tiny_module("llama")
    weight = flipped.get_parameter("model.layers.1.mlp.down_proj.weight").data
    weight[0, 0] = torch.nextafter(weight[0, 0], torch.tensor(9.0))
    models = [
        tiny_language_model("llama"),
        tiny_language_model("llama", seed=1),
        tiny_language_model("llama", rms_norm_eps=1e-4),
        LanguageModel.wrap(flipped, byte_level(), "one bit"),
        LanguageModel.wrap(tiny_module("llama"), sentencepiece(), "other tokenizer"),
    ]
    assert len({model.fingerprint for model in models}) == len(models)


def test_a_tokenizer_without_offsets_is_an_error() -> None:
    class Slow(PreTrainedTokenizer):
        @property
        def vocab_size(self) -> int:
            return 1

        def get_vocab(self) -> dict[str, int]:
            return {"a": 0}

    with pytest.raises(SequelaError, match="slow"):
        LanguageModel.wrap(tiny_module("llama"), Slow(), "slow one")


def test_layers_out_of_range_are_an_error() -> None:
    model = tiny_language_model("llama")
    model.check_layers((0, 3))
    for wrong in (4, -1):
        with pytest.raises(SequelaError, match=f"Invalid layer {wrong}; 'tiny-llama' has layers 0 to 3"):
            model.check_layers((0, wrong))


def test_every_end_token_is_known() -> None:
    model = tiny_language_model("llama")
    assert model.end_ids == {model.tokenizer.eos_token_id}
    model.module.generation_config.eos_token_id = [7, 8]
    assert model.end_ids == {model.tokenizer.eos_token_id, 7, 8}


def test_a_padding_token_outside_the_embedding_is_not_used() -> None:
    model = tiny_language_model("llama")
    model.tokenizer.add_special_tokens({"pad_token": "<one token more>"})
    try:
        assert model.tokenizer.pad_token_id >= model.module.get_input_embeddings().num_embeddings
        assert model.pad_id == 0
    finally:
        byte_level.cache_clear()  # the tokenizer is shared by all tiny models


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", quick_cases(FAMILY_NAMES, ("gpt2", "gptj", "gemma3", "phi3")))
def test_every_parameter_belongs_to_the_first_block_that_it_can_change(family: str, tied: bool) -> None:
    """Doubling and shifting a parameter changes only the inputs of later blocks, or only the logits."""
    model = tiny_language_model(family, tie_word_embeddings=tied)
    batch = pad_right([(5, 6, 7, 8)], model.pad_id, model.device)
    before = [record_forward(model, batch, first).hidden for first in range(model.n_layers + 1)]
    found = set()
    for name, parameter in model.module.named_parameters():
        block = model.block_of(name)
        found.add(block)
        stored = parameter.data.clone()
        parameter.data.mul_(2.0).add_(0.1)
        after = [record_forward(model, batch, first).hidden for first in range(model.n_layers + 1)]
        same = [torch.equal(ours, theirs) for ours, theirs in zip(after, before, strict=True)]
        assert all(same[: block + 1]) or block == 0, name
        assert block == model.n_layers or not same[block + 1], name
        parameter.data.copy_(stored)
    assert found == {0, 1, 2, 3, 4}


def test_a_tied_head_is_the_embedding() -> None:
    assert tiny_language_model("llama").block_of("lm_head.weight") == 0
    assert tiny_language_model("llama", tie_word_embeddings=False).block_of("lm_head.weight") == 4
