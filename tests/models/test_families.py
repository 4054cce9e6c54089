"""Every family's table names the right parts of the real architecture."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

from sequela.core.errors import UnsupportedModelError
from sequela.models import LanguageModel
from sequela.models.families import FAMILIES, family_of
from sequela.models.forward.batch import pad_right
from sequela.models.forward.replay import record_forward
from support.tiny import FAMILY_NAMES, KEY_WIDTH, LAYERS, WIDTH

PROMPT = "The capital of France is Paris, the capital of Italy is"
MakeModel = Callable[..., LanguageModel]


def test_every_family_has_a_tiny_model() -> None:
    assert {family.name for family in FAMILIES} == set(FAMILY_NAMES)


def test_the_sizes_are_those_of_the_configuration(any_family: LanguageModel) -> None:
    assert (any_family.n_layers, any_family.hidden_size, any_family.key_size) == (LAYERS, WIDTH, KEY_WIDTH)
    assert any_family.context_length == 256


def test_the_output_projections_map_keys_to_the_mlp_s_output(any_family: LanguageModel) -> None:
    """The key times the weight, in the papers' orientation, is the value."""
    family, module = any_family.family, any_family.module
    for layer in range(any_family.n_layers):
        seen: dict[str, torch.Tensor] = {}

        def look(_: object, args: tuple[torch.Tensor, ...], output: torch.Tensor, seen=seen) -> None:
            seen["key"], seen["value"] = args[0], output

        hook = family.mlp_out_module(module, layer).register_forward_hook(look)
        _run(any_family)
        hook.remove()
        weight = family.as_out_in(any_family.mlp_out_weight(layer))
        bias = getattr(family.mlp_out_module(module, layer), "bias", None)
        value = seen["key"] @ weight.T + (0 if bias is None else bias)
        assert weight.shape == (WIDTH, KEY_WIDTH)
        torch.testing.assert_close(seen["value"], value, rtol=1e-5, atol=1e-5)


def test_the_attention_output_returns_to_the_residual_stream(any_family: LanguageModel) -> None:
    """With zeros at every layer, no position affects another."""
    for layer in range(any_family.n_layers):
        module = any_family.family.attention_out_module(any_family.module, layer)
        for parameter in module.parameters():
            parameter.data.zero_()
    ids = torch.tensor([any_family.tokenizer(PROMPT)["input_ids"]])
    other = ids.clone()
    other[0, :-1] = ids[0, :-1].flip(0)
    torch.testing.assert_close(any_family.module(ids).logits[0, -1], any_family.module(other).logits[0, -1])


@pytest.mark.parametrize("family", FAMILY_NAMES)
@pytest.mark.parametrize("tied", [True, False])
def test_logits_from_the_last_block_are_the_model_s_own(
    tiny_model: MakeModel, family: str, tied: bool
) -> None:
    model = tiny_model(family, tie_word_embeddings=tied)
    head = model.module.get_submodule(model.family.unembed)
    embed = model.module.get_submodule(model.family.embed)
    assert embed is model.module.get_input_embeddings()
    assert (head.weight.data_ptr() == embed.weight.data_ptr()) == tied

    ids = model.tokenizer(PROMPT)["input_ids"]
    final = record_forward(model, pad_right([ids], model.pad_id, model.device), first=model.n_layers).final
    torch.testing.assert_close(model.family.logits(model.module, final), _run(model), rtol=1e-5, atol=1e-5)


def test_soft_caps_bound_the_logits_of_families_that_have_them(tiny_model: MakeModel) -> None:
    capped = tiny_model("gemma2", final_logit_softcapping=0.5)
    final = record_forward(capped, pad_right([(1, 5, 9)], 0, capped.device), first=0).final
    logits = capped.family.logits(capped.module, 50 * final)
    assert logits.abs().max() <= 0.5
    torch.testing.assert_close(logits, capped.module(torch.tensor([[1, 5, 9]])).logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("config", "named", "reason"),
    [
        (AutoConfig.for_model("bert", architectures=["BertForMaskedLM"]), "BertForMaskedLM", "not a causal"),
        (AutoConfig.for_model("vit"), "vit", "not a causal"),
        (AutoConfig.for_model("t5", architectures=["T5ForConditionalGeneration"]), "T5", "encoder-decoder"),
        (AutoConfig.for_model("mixtral", architectures=["MixtralForCausalLM"]), "Mixtral", "experts"),
        (AutoConfig.for_model("qwen3_moe", architectures=["Qwen3MoeForCausalLM"]), "Qwen3Moe", "experts"),
        (AutoConfig.for_model("llama", architectures=["LlamaForSequenceClassification"]), "Sequence", ""),
        (AutoConfig.for_model("gemma3"), "gemma3", ""),
    ],
)
def test_other_architectures_are_named_in_the_error(
    config: PretrainedConfig, named: str, reason: str
) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        family_of(config, "somebody/model")
    assert "somebody/model" in caught.value.message
    assert named in caught.value.message
    assert reason in caught.value.message
    assert all(name in str(caught.value) for family in FAMILIES for name in family.architectures)


def _run(model: LanguageModel) -> torch.Tensor:
    module: PreTrainedModel = model.module
    ids = torch.tensor([model.tokenizer(PROMPT)["input_ids"]])
    logits: torch.Tensor = module(ids).logits
    return logits
