"""Generation by transformers itself, one prompt at a time."""

from __future__ import annotations

import torch

from sequela.inference import GenerationRequest
from sequela.models import LanguageModel


def by_transformers(model: LanguageModel, request: GenerationRequest) -> list[int]:
    """Returns the tokens of a greedy continuation without the end token."""
    ids = torch.tensor([request.prompt])
    output = model.module.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=request.max_new_tokens,
        do_sample=False,
        eos_token_id=sorted(model.end_ids),
        pad_token_id=0,
    )
    generated = output[0, len(request.prompt) :].tolist()
    ends = [i for i, token in enumerate(generated) if token in model.end_ids]
    return generated[: ends[0]] if ends else generated
