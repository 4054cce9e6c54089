"""Gemma 2: norms around both halves of a block, alternating local attention, capped logits.

The output projection's result passes a norm before it joins the residual stream, so a change of
the value reaches the stream rescaled.
"""

from sequela.models.family import Family

GEMMA2 = Family(
    name="gemma2",
    architectures=("Gemma2ForCausalLM",),
    blocks="model.layers",
    mlp_out="model.layers.{}.mlp.down_proj",
    mlp_activation="model.layers.{}.mlp.act_fn",
    attention_out="model.layers.{}.self_attn.o_proj",
    embed="model.embed_tokens",
    final_norm="model.norm",
    logit_softcap=True,
)
