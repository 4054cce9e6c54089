"""The fingerprint tells models apart, and only real differences change it."""

from __future__ import annotations

import pytest
import torch
from transformers import PreTrainedTokenizer

from sequela.ground.errors import SequelaError
from sequela.models import LanguageModel
from support.tiny import tiny_language_model, tiny_module
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


def test_a_tokenizer_without_offsets_is_refused() -> None:
    class Slow(PreTrainedTokenizer):
        @property
        def vocab_size(self) -> int:
            return 1

        def get_vocab(self) -> dict[str, int]:
            return {"a": 0}

    with pytest.raises(SequelaError, match="slow"):
        LanguageModel.wrap(tiny_module("llama"), Slow(), "slow one")


def test_layers_that_are_not_there_are_refused() -> None:
    model = tiny_language_model("llama")
    model.check_layers((0, 3))
    for wrong in (4, -1):
        with pytest.raises(SequelaError, match=rf"layers 0 to 3; layer {wrong}"):
            model.check_layers((0, wrong))


def test_every_end_token_is_known() -> None:
    model = tiny_language_model("llama")
    assert model.end_ids == {model.tokenizer.eos_token_id}
    model.module.generation_config.eos_token_id = [7, 8]
    assert model.end_ids == {model.tokenizer.eos_token_id, 7, 8}


def test_a_padding_token_that_the_model_has_not_is_not_used() -> None:
    model = tiny_language_model("llama")
    model.tokenizer.add_special_tokens({"pad_token": "<one token more>"})
    try:
        assert model.tokenizer.pad_token_id >= model.module.get_input_embeddings().num_embeddings
        assert model.pad_id == 0
    finally:
        byte_level.cache_clear()  # the tokenizer is shared by all tiny models
