"""The architecture families as one table, and the lookup from a loaded model to its family."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sequela.core.errors import UnsupportedModelError
from sequela.core.registry import Registry, instance_of
from sequela.models.family import Family

if TYPE_CHECKING:
    from transformers import PretrainedConfig

LLAMA = Family(
    name="llama",
    architectures=("LlamaForCausalLM",),
    blocks="model.layers",
    mlp_out="model.layers.{}.mlp.down_proj",
    mlp_activation="model.layers.{}.mlp.act_fn",
    attention_out="model.layers.{}.self_attn.o_proj",
    embed="model.embed_tokens",
    final_norm="model.norm",
)
"""Llama 1 to 3 and the models with its layout (SmolLM2, TinyLlama, Vicuna)."""

GEMMA2 = replace(
    LLAMA,
    name="gemma2",
    architectures=("Gemma2ForCausalLM",),
    logit_softcap=True,
    post_norms=True,
)
"""Gemma 2: norms around both halves of a block, alternating local attention, capped logits."""

GEMMA3 = replace(
    LLAMA,
    name="gemma3",
    architectures=("Gemma3ForCausalLM",),
    logit_softcap=True,
    post_norms=True,
)
"""Gemma 3 (text): norms around both halves of a block, five local layers to a global one, tied head."""

GPT2 = Family(
    name="gpt2",
    architectures=("GPT2LMHeadModel",),
    blocks="transformer.h",
    mlp_out="transformer.h.{}.mlp.c_proj",
    mlp_activation="transformer.h.{}.mlp.act",
    attention_out="transformer.h.{}.attn.c_proj",
    embed="transformer.wte",
    final_norm="transformer.ln_f",
    transposed=True,
)
"""GPT-2 (small to XL): Conv1D weights stored `[in, out]`, learned positions, tied head."""

GPT_NEOX = Family(
    name="gpt_neox",
    architectures=("GPTNeoXForCausalLM",),
    blocks="gpt_neox.layers",
    mlp_out="gpt_neox.layers.{}.mlp.dense_4h_to_h",
    mlp_activation="gpt_neox.layers.{}.mlp.act",
    attention_out="gpt_neox.layers.{}.attention.dense",
    embed="gpt_neox.embed_in",
    final_norm="gpt_neox.final_layer_norm",
)
"""GPT-NeoX and Pythia: parallel attention and MLP, partial rotary positions, untied head."""

GPTJ = Family(
    name="gptj",
    architectures=("GPTJForCausalLM",),
    blocks="transformer.h",
    mlp_out="transformer.h.{}.mlp.fc_out",
    mlp_activation="transformer.h.{}.mlp.act",
    attention_out="transformer.h.{}.attn.out_proj",
    embed="transformer.wte",
    final_norm="transformer.ln_f",
)
"""GPT-J: parallel attention and MLP under one norm, rotary positions, untied head with a bias."""

MISTRAL = replace(
    LLAMA,
    name="mistral",
    architectures=("MistralForCausalLM",),
)
"""Mistral: Llama's layout with grouped-query and, in version 0.1, sliding-window attention."""

OLMO2 = replace(
    LLAMA,
    name="olmo2",
    architectures=("Olmo2ForCausalLM",),
    post_norms=True,
)
"""OLMo 2: Llama's layout with norms after attention and MLP instead of before."""

PHI3 = replace(
    LLAMA,
    name="phi3",
    architectures=("Phi3ForCausalLM",),
    mlp_activation="model.layers.{}.mlp.activation_fn",
)
"""Phi-3 and Phi-4: Llama's layout with fused projections on the input side."""

QWEN2 = replace(
    LLAMA,
    name="qwen2",
    architectures=("Qwen2ForCausalLM",),
)
"""Qwen 2 and 2.5: Llama's layout with biases on queries, keys and values."""

QWEN3 = replace(
    LLAMA,
    name="qwen3",
    architectures=("Qwen3ForCausalLM",),
)
"""Qwen 3 (dense): Llama's layout with norms on queries and keys."""

FAMILIES: tuple[Family, ...] = (
    GEMMA2,
    GEMMA3,
    GPT2,
    GPT_NEOX,
    GPTJ,
    LLAMA,
    MISTRAL,
    OLMO2,
    PHI3,
    QWEN2,
    QWEN3,
)
"""The built-in families."""


def _family(name: str, found: object) -> Family:
    family = instance_of(Family)(name, found)
    built_in = {architecture for known in FAMILIES for architecture in known.architectures}
    if taken := built_in.intersection(family.architectures):
        raise ValueError(f"describes {', '.join(sorted(taken))}, which Sequela already supports")
    return family


FAMILY_REGISTRY = Registry(
    kind="family",
    group="sequela.families",
    built_in=lambda: {family.name: family for family in FAMILIES},
    check=_family,
    expected="a `sequela.models.Family`",
)
"""The registry of model families."""


def family_of(config: PretrainedConfig, name: str) -> Family:
    """Returns the family of a Hugging Face configuration.

    Args:
        config: The model's configuration.
        name: The model's name as given by the user, for the error.

    Raises:
        UnsupportedModelError: No family describes the architecture; the message names it and
            lists the supported ones.
    """
    architectures = set(config.architectures or ())
    unusable: list[str] = []
    for listed in FAMILY_REGISTRY.listed():
        family = listed.value
        if family is None:
            unusable.append(listed.problem)
        elif architectures & set(family.architectures) or (
            not architectures and config.model_type == _model_type(family)
        ):
            return family
    found = ", ".join(sorted(architectures)) or config.model_type
    reason = _why_not(config)
    hint = f"Supported: {', '.join(supported_architectures())}."
    raise UnsupportedModelError(
        f"{name!r} is a {found}{reason}, which Sequela can't edit.", hint=" ".join((hint, *unusable))
    )


def supported_architectures() -> list[str]:
    """Returns the Hugging Face classes that the families describe, sorted."""
    families = (listed.value for listed in FAMILY_REGISTRY.listed())
    return sorted(name for family in families if family is not None for name in family.architectures)


def _model_type(family: Family) -> str:
    """Returns the `model_type` of a family's configurations."""
    return "gemma3_text" if family is GEMMA3 else family.name  # "gemma3" also reads images


def _why_not(config: PretrainedConfig) -> str:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    expert_fields = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
    if any(getattr(config, field, None) for field in expert_fields):
        return " (a mixture of experts)"
    if getattr(config, "is_encoder_decoder", False):
        return " (an encoder-decoder)"
    causal = set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values())
    if config.architectures and not causal.intersection(config.architectures):
        return " (not a causal language model)"
    if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return " (not a causal language model)"
    return ""
