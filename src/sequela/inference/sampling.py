"""Text sampled from the model itself, the same for the same seed on one machine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import DynamicCache

from sequela.core.errors import SequelaError
from sequela.core.precision import SCORING_DTYPE
from sequela.models import LanguageModel


@torch.inference_mode()
def sample_tokens(
    model: LanguageModel,
    starts: Sequence[Sequence[int]],
    new_tokens: int,
    generator: torch.Generator,
    top_k: int | None = None,
) -> list[tuple[int, ...]]:
    """Continues token rows by sampling at temperature 1.

    Args:
        model: The model.
        starts: Rows of token ids, all of one length.
        new_tokens: How many tokens to add to each row; end tokens don't end a row.
        generator: A CPU generator: the randomness comes from it alone.
        top_k: Sample among this many most likely tokens only; None means all.

    Returns:
        The rows with what was added.

    Raises:
        SequelaError: The model's logits are not finite.
    """
    lengths = {len(start) for start in starts}
    if len(lengths) != 1:
        raise ValueError(f"Rows to be continued must have one length; these have {sorted(lengths)}.")
    ids = torch.tensor([list(start) for start in starts], device=model.device)
    rows = ids
    cache = DynamicCache()
    for _ in range(new_tokens):
        position = cache.get_seq_length() + torch.arange(ids.shape[1], device=ids.device)
        output = model.module(
            input_ids=ids,
            position_ids=position.expand_as(ids),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        probabilities = torch.softmax(output.logits[:, -1].to(SCORING_DTYPE), dim=-1).cpu()
        if not torch.isfinite(probabilities).all():
            raise SequelaError(f"{model.name!r} can't be sampled from: its logits are not all finite.")
        if top_k is not None:
            kept, tokens = probabilities.topk(top_k, dim=-1)
            chosen = tokens.gather(1, torch.multinomial(kept, 1, generator=generator))
        else:
            chosen = torch.multinomial(probabilities, 1, generator=generator)
        ids = chosen.to(model.device)
        rows = torch.cat([rows, ids], dim=1)
    return [tuple(row) for row in rows.tolist()]
