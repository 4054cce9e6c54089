"""Sampling of texts from a model, reproducible for a given seed on one machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import torch
from transformers import DynamicCache

from sequela.core.errors import SequelaError
from sequela.core.precision import SCORING_DTYPE
from sequela.core.progress import SILENT, Progress, counted
from sequela.inference.torch.attention.base import attention_replaced, takes_attention
from sequela.inference.torch.attention.kv_slots import Row, Slots
from sequela.inference.torch.attention.rows import RowAttention
from sequela.inference.torch.lm_head import Head
from sequela.inference.torch.packed_linear import fastest_linears
from sequela.models import LanguageModel

NextLogits = Callable[[torch.Tensor], torch.Tensor]
"""A function that appends token ids `[rows, width]` to the rows read so far and returns the logits of the
next tokens, fp32 `[rows, vocabulary]`."""


@torch.inference_mode()
def sample_tokens(
    model: LanguageModel,
    starts: Sequence[Sequence[int]],
    new_tokens: int,
    generator: torch.Generator,
    top_k: int | None = None,
) -> list[tuple[int, ...]]:
    """Continues a few token rows by a few tokens, sampled at temperature 1.

    For long texts use `sample_texts`, which is faster and gives the same result up to the order of summation.

    Args:
        model: The model.
        starts: Rows of token ids, all of one length.
        new_tokens: The number of tokens to add to each row; end tokens don't end a row.
        generator: A CPU generator, the only source of randomness.
        top_k: Samples only from this many most likely tokens; None means all.

    Returns:
        The rows with the sampled tokens appended.

    Raises:
        SequelaError: The model's logits are not finite.
    """
    return _continued(model, starts, new_tokens, _plain(model), generator, top_k)


@torch.inference_mode()
def sample_texts(
    model: LanguageModel,
    starts: Sequence[Sequence[int]],
    new_tokens: int,
    generator: torch.Generator,
    progress: Progress = SILENT,
) -> list[tuple[int, ...]]:
    """Continues many token rows by many tokens, sampled at temperature 1.

    The model runs as in `TorchEngine`, with packed weights and the keys and values of each row updated in
    place. A model whose attention can't be replaced runs as in `sample_tokens`.

    Args:
        model: The model.
        starts: Rows of token ids, all of one length.
        new_tokens: The number of tokens to add to each row; end tokens don't end a row.
        generator: A CPU generator, the only source of randomness.
        progress: Receives progress reports, in tokens.

    Returns:
        The rows with the sampled tokens appended.

    Raises:
        SequelaError: The model's logits are not finite.
    """
    with ExitStack() as stack:
        total = len(starts) * new_tokens
        advance = stack.enter_context(counted(progress, "sampling tokens from the model", total))
        next_logits = _plain(model)
        if takes_attention(model) and not model.rotary_by_length:
            attention = RowAttention(Slots())
            stack.enter_context(fastest_linears(model))
            stack.enter_context(attention_replaced(model, attention))
            next_logits = _in_slots(model, attention)
        return _continued(model, starts, new_tokens, next_logits, generator, None, advance)


def _continued(
    model: LanguageModel,
    starts: Sequence[Sequence[int]],
    new_tokens: int,
    next_logits: NextLogits,
    generator: torch.Generator,
    top_k: int | None,
    advance: Callable[[int], None] = lambda units: None,
) -> list[tuple[int, ...]]:
    lengths = {len(start) for start in starts}
    if len(lengths) != 1:
        raise ValueError(f"The rows to continue must all have the same length; these have {sorted(lengths)}.")
    ids = torch.tensor([list(start) for start in starts], device=model.device)
    rows = ids
    for _ in range(new_tokens):
        probabilities = torch.softmax(next_logits(ids), dim=-1).cpu()
        if not torch.isfinite(probabilities).all():
            raise SequelaError(f"Can't sample from {model.name!r}: its logits are not all finite.")
        ids = draw(probabilities, generator, top_k).to(model.device)
        rows = torch.cat([rows, ids], dim=1)
        advance(len(starts))
    return [tuple(row) for row in rows.tolist()]


def draw(probabilities: torch.Tensor, generator: torch.Generator, top_k: int | None = None) -> torch.Tensor:
    """Draws one token per row of probabilities `[rows, vocabulary]`, on the CPU; returns `[rows, 1]`."""
    if top_k is None:
        return torch.multinomial(probabilities, 1, generator=generator)
    kept, tokens = probabilities.topk(top_k, dim=-1)
    return tokens.gather(1, torch.multinomial(kept, 1, generator=generator))


def _plain(model: LanguageModel) -> NextLogits:
    """Returns a function that runs the Hugging Face model with its own cache."""
    cache = DynamicCache()

    def next_logits(ids: torch.Tensor) -> torch.Tensor:
        position = cache.get_seq_length() + torch.arange(ids.shape[1], device=ids.device)
        output = model.module(
            input_ids=ids,
            position_ids=position.expand_as(ids),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1].to(SCORING_DTYPE)
        return logits

    return next_logits


def _in_slots(model: LanguageModel, attention: RowAttention) -> NextLogits:
    """Returns a function that runs the model with `attention`: first the starts, then one token per call."""
    head = Head(model)
    rows: list[Row] = attention.slots.rows

    def next_logits(ids: torch.Tensor) -> torch.Tensor:
        if not rows:
            attention.begin_rows([Row(None, ids.shape[1]) for _ in ids])
            positions = torch.arange(ids.shape[1], device=ids.device).repeat(len(ids))[None]
            hidden = _hidden(model, ids.reshape(1, -1), positions)
            return head.after_norm(hidden.view(*ids.shape, -1)[:, -1])
        for row in rows:
            row.length += 1
        attention.begin_step()
        return head.after_norm(_hidden(model, ids, torch.full_like(ids, rows[0].length - 1))[:, 0])

    return next_logits


def _hidden(model: LanguageModel, ids: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Returns the output of the final norm, `[rows, width, d]`."""
    output = model.module.base_model(input_ids=ids, position_ids=positions, use_cache=False)
    hidden: torch.Tensor = output.last_hidden_state
    return hidden
