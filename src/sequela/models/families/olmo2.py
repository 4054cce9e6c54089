"""OLMo 2: Llama's layout with norms after attention and MLP instead of before."""

from sequela.models.family import Family

OLMO2 = Family(
    name="olmo2",
    architectures=("Olmo2ForCausalLM",),
    blocks="model.layers",
    mlp_out="model.layers.{}.mlp.down_proj",
    mlp_activation="model.layers.{}.mlp.act_fn",
    attention_out="model.layers.{}.self_attn.o_proj",
    embed="model.embed_tokens",
    final_norm="model.norm",
)
