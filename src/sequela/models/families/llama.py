"""Llama 1 to 3 and the models with its layout (SmolLM2, TinyLlama, Vicuna)."""

from sequela.models.family import Family

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
