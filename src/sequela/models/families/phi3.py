"""Phi-3 and Phi-4: Llama's layout with fused projections on the input side."""

from sequela.models.family import Family

PHI3 = Family(
    name="phi3",
    architectures=("Phi3ForCausalLM",),
    blocks="model.layers",
    mlp_out="model.layers.{}.mlp.down_proj",
    mlp_activation="model.layers.{}.mlp.activation_fn",
    attention_out="model.layers.{}.self_attn.o_proj",
    embed="model.embed_tokens",
    final_norm="model.norm",
)
