"""GPT-J: parallel attention and MLP under one norm, rotary positions, untied head with a bias."""

from sequela.models.family import Family

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
