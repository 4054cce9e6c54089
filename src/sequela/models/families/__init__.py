"""One file per architecture family, and the lookup from a loaded model to its family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sequela.core.errors import UnsupportedModelError
from sequela.models.families.gemma2 import GEMMA2
from sequela.models.families.gemma3 import GEMMA3
from sequela.models.families.gpt2 import GPT2
from sequela.models.families.gpt_neox import GPT_NEOX
from sequela.models.families.gptj import GPTJ
from sequela.models.families.llama import LLAMA
from sequela.models.families.mistral import MISTRAL
from sequela.models.families.olmo2 import OLMO2
from sequela.models.families.phi3 import PHI3
from sequela.models.families.qwen2 import QWEN2
from sequela.models.families.qwen3 import QWEN3
from sequela.models.family import Family

if TYPE_CHECKING:
    from transformers import PretrainedConfig

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


def family_of(config: PretrainedConfig, name: str) -> Family:
    """The family of a Hugging Face configuration.

    Args:
        config: The model's configuration.
        name: What the user called the model, for the error.

    Raises:
        UnsupportedModelError: No family describes the architecture; the message names it and
            lists the supported ones.
    """
    by_type = {family.name: family for family in FAMILIES}
    by_type["gemma3_text"] = by_type.pop("gemma3")  # "gemma3" is the one that also reads images
    architectures = set(config.architectures or ())
    for family in FAMILIES:
        if architectures & set(family.architectures):
            return family
    if not architectures and config.model_type in by_type:
        return by_type[config.model_type]
    found = ", ".join(sorted(architectures)) or config.model_type
    reason = _why_not(config)
    raise UnsupportedModelError(
        f"{name!r} is a {found}{reason}, which Sequela can't edit.",
        hint=f"Supported: {', '.join(sorted(a for family in FAMILIES for a in family.architectures))}.",
    )


def _why_not(config: PretrainedConfig) -> str:
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    expert_fields = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
    if any(getattr(config, field, None) for field in expert_fields):
        return " (a mixture of experts)"
    if getattr(config, "is_encoder_decoder", False):
        return " (an encoder-decoder)"
    causal = set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values())
    if config.architectures and not causal.intersection(config.architectures):
        return " (no causal language model)"
    if config.model_type not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return " (no causal language model)"
    return ""
