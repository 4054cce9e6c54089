"""The served weights are those of the base, bit for bit, whatever edits are in force."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from sequela.core.hashing import hash_tensors
from sequela.edited import Delta, Dense, EditedModel
from sequela.inference.vllm.checkpoint import file_of_each, part_of_block, save_unedited
from sequela.models import LanguageModel


def bits(module: torch.nn.Module) -> str:
    return hash_tensors(module.named_parameters())


def test_the_saved_base_is_the_base_bit_for_bit(any_family: LanguageModel, tmp_path: Path) -> None:
    before = bits(any_family.module)
    embedding = next(name for name, _ in any_family.module.named_parameters())
    updates = {
        name: Dense(torch.ones_like(any_family.family.as_out_in(any_family.module.get_parameter(name))))
        for name in (embedding, any_family.family.mlp_out_name(1))
    }
    with EditedModel(any_family, Delta(any_family.fingerprint, updates)):
        assert bits(any_family.module) != before
        save_unedited(any_family, tmp_path)
    assert bits(any_family.module) == before
    assert set(file_of_each(tmp_path)) >= set(updates)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=any_family.dtype)
    assert bits(loaded) == before


def test_weights_of_one_attention_or_mlp_belong_together() -> None:
    blocks = "model.layers"
    assert part_of_block("model.layers.3.self_attn.q_proj.weight", blocks) == "model.layers.3.self_attn"
    assert part_of_block("model.layers.3.self_attn.k_proj.bias", blocks) == "model.layers.3.self_attn"
    assert part_of_block("model.layers.13.mlp.up_proj.weight", blocks) == "model.layers.13.mlp"
    for outside in ("model.layers.3.input_layernorm.weight", "model.embed_tokens.weight", "lm_head.weight"):
        assert part_of_block(outside, blocks) == ""
