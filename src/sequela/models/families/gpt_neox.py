"""GPT-NeoX and Pythia: parallel attention and MLP, partial rotary positions, untied head."""

from sequela.models.family import Family

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
