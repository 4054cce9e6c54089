"""Mistral: Llama's layout with grouped-query and, in version 0.1, sliding-window attention."""

from sequela.models.family import Family

MISTRAL = Family(
    name="mistral",
    architectures=("MistralForCausalLM",),
    blocks="model.layers",
    mlp_out="model.layers.{}.mlp.down_proj",
    mlp_activation="model.layers.{}.mlp.act_fn",
    attention_out="model.layers.{}.self_attn.o_proj",
    embed="model.embed_tokens",
    final_norm="model.norm",
)
