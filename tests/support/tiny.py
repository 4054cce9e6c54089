"""Tiny models of every family with random weights: real architectures, nothing to download."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from sequela.models import LanguageModel
from support.tokenizers import byte_level, sentencepiece

LAYERS = 4
WIDTH = 32
KEY_WIDTH = 64
WINDOW = 6
"""The sliding window of local attention layers, shorter than most prompts of the tests."""

_GROUPED: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": KEY_WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
_GPT: dict[str, Any] = {
    "n_embd": WIDTH,
    "n_inner": KEY_WIDTH,
    "n_layer": LAYERS,
    "n_head": 4,
    "n_positions": 256,
}
_NEOX: dict[str, Any] = {**_GROUPED, "rotary_pct": 0.25}
del _NEOX["num_key_value_heads"]
_LOCAL: dict[str, Any] = {
    "sliding_window": WINDOW,
    "layer_types": ["sliding_attention", "full_attention"] * (LAYERS // 2),
    "head_dim": 16,
}

SETTINGS: dict[str, dict[str, Any]] = {
    "gpt2": {**_GPT, "tie_word_embeddings": True},
    "gpt_neox": {**_NEOX, "tie_word_embeddings": False},
    "gptj": {**_GPT, "rotary_dim": 4, "tie_word_embeddings": False},
    "llama": {**_GROUPED, "tie_word_embeddings": True},
    "mistral": {**_GROUPED, "sliding_window": WINDOW, "tie_word_embeddings": False},
    "qwen2": {**_GROUPED, "tie_word_embeddings": True},
    "qwen3": {**_GROUPED, "head_dim": 16, "tie_word_embeddings": True},
    "gemma2": {
        **_GROUPED,
        **_LOCAL,
        "query_pre_attn_scalar": 16,
        "attn_logit_softcapping": 0.5,
        "final_logit_softcapping": 3.0,
    },
    "gemma3_text": {**_GROUPED, **_LOCAL, "query_pre_attn_scalar": 16},
    "phi3": {**_GROUPED, "tie_word_embeddings": False},
    "olmo2": {**_GROUPED, "tie_word_embeddings": False},
}
"""The settings of the tiny model for each `model_type`."""

FAMILY_NAMES: tuple[str, ...] = tuple(name.removesuffix("_text") for name in SETTINGS)
_SENTENCEPIECE_FAMILIES = {"mistral", "gemma2", "gemma3", "phi3"}


def tiny_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """Returns a tokenizer of the kind that models of the family have."""
    return sentencepiece() if family in _SENTENCEPIECE_FAMILIES else byte_level()


def tiny_module(
    family: str, *, seed: int = 0, attention: str | None = None, **settings: Any
) -> PreTrainedModel:
    """Returns a random float32 model: 4 layers, d 32, d_ff 64, grouped-query attention if the family has it.

    Every parameter is random, also norms and biases, so that an omitted one changes results.

    Args:
        family: One of `FAMILY_NAMES`.
        seed: The seed of the weights.
        attention: The implementation of attention; by default the one transformers chooses.
        settings: Fields of the configuration to override, e.g. `tie_word_embeddings`.
    """
    tokenizer = tiny_tokenizer(family)
    model_type = "gemma3_text" if family == "gemma3" else family
    config = AutoConfig.for_model(
        model_type,
        **{
            **SETTINGS[model_type],
            "vocab_size": len(tokenizer),
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": None,
            **settings,
        },
    )
    module = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=attention)
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=source)
            if parameter.dim() == 1:
                parameter.add_(0.2 * noise)
            else:
                parameter.copy_(0.2 * noise)
    module.eval()
    return module


def tiny_language_model(family: str, **settings: Any) -> LanguageModel:
    """Returns `tiny_module` with its tokenizer as a `LanguageModel`."""
    module = tiny_module(family, **settings)
    return LanguageModel.wrap(module, tiny_tokenizer(family), f"tiny-{family}")
