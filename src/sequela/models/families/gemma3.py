"""Gemma 3 (text): norms around both halves of a block, five local layers to a global one, tied head."""

from sequela.models.family import Family

GEMMA3 = Family(
    name="gemma3",
    architectures=("Gemma3ForCausalLM",),
    blocks="model.layers",
    mlp_out="model.layers.{}.mlp.down_proj",
    mlp_activation="model.layers.{}.mlp.act_fn",
    attention_out="model.layers.{}.self_attn.o_proj",
    embed="model.embed_tokens",
    final_norm="model.norm",
    logit_softcap=True,
)
