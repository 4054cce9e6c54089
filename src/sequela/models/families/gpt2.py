"""GPT-2 (small to XL): Conv1D weights stored `[in, out]`, learned positions, tied head."""

from sequela.models.family import Family

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
