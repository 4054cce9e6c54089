"""Attention over dense spans of queries and keys, joined by their softmax denominators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from sequela.core.precision import SCORING_DTYPE
from sequela.inference.torch.attention.wide import WideKeys, is_wide, softmax_with_logsumexp
from sequela.models import LanguageModel

QUERY_ROWS = 512  # queries at a time if their scores are held in full

Attend = Callable[["LayerCall"], torch.Tensor]


def takes_attention(model: LanguageModel) -> bool:
    """Returns whether the model's attention can be replaced; in Hugging Face's GPT-J it can't."""
    return bool(model.module._supports_attention_backend)


@contextmanager
def attention_replaced(model: LanguageModel, attend: Attend) -> Iterator[None]:
    """Makes every attention layer call `attend` for the duration of the `with` block.

    `attend` returns the attended values in the shape of the query, `[rows, heads, tokens, head size]`. The
    model builds no masks: `attend` determines which keys a query sees.
    """

    def attention(
        module: nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        **arguments: Any,
    ) -> tuple[torch.Tensor, None]:
        """Has Hugging Face's signature; the returned values have tokens before heads."""
        assert attention_mask is None
        layer = module.layer_idx
        assert isinstance(layer, int)
        score_scaling = ScoreScaling.of(query, arguments)
        call = LayerCall(layer, query, key, value, score_scaling, arguments.get("sliding_window"))
        return attend(call).transpose(1, 2), None

    name = f"sequela-{id(attend)}"
    before = model.module.config._attn_implementation
    ALL_ATTENTION_FUNCTIONS[name] = attention
    model.module.config._attn_implementation = name
    try:
        yield
    finally:
        model.module.config._attn_implementation = before
        del ALL_ATTENTION_FUNCTIONS[name]


@dataclass(frozen=True)
class ScoreScaling:
    """The scaling of attention scores.

    Args:
        scaling: The factor of the dot products.
        cap: The soft cap of Gemma 2: a hyperbolic tangent keeps scores between minus and plus this value.
    """

    scaling: float
    cap: float | None = None

    @classmethod
    def of(cls, query: torch.Tensor, arguments: dict[str, Any]) -> ScoreScaling:
        """Returns the scaling that an attention layer passes in its arguments."""
        scaling = arguments.get("scaling")
        return cls(query.shape[-1] ** -0.5 if scaling is None else scaling, arguments.get("softcap"))


@dataclass(frozen=True)
class LayerCall:
    """The inputs of one attention layer.

    Args:
        layer: The layer's index.
        query: `[rows, heads, tokens, head size]`.
        key: `[rows, key heads, tokens, head size]`.
        value: The values, shaped like the keys.
        score_scaling: The scaling of the scores.
        window: The number of tokens that a token sees, itself included; None is all.
    """

    layer: int
    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    score_scaling: ScoreScaling
    window: int | None


def attend_span(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    score_scaling: ScoreScaling,
    mask: torch.Tensor | None = None,
    causal: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Computes softmax attention of queries over keys.

    Args:
        query: `[rows, heads, queries, head size]`.
        key: `[rows, key heads, keys, head size]`; the number of heads is a multiple of the key heads.
        value: The values, shaped like the keys.
        score_scaling: The scaling of the scores.
        mask: Added to the scores, `[rows or 1, 1, queries, keys]`; finite.
        causal: If true, query i sees keys up to i.

    Returns:
        The attended values `[rows, heads, queries, head size]`, and the natural logs of the softmax
        denominators, fp32 `[rows, heads, queries]`, by which spans over other keys can be joined.
    """
    if mask is None and not causal and score_scaling.cap is None and is_wide(query, key):
        return WideKeys(key, value, score_scaling.scaling, reused=False).attend(query)
    if query.device.type == "cpu" and score_scaling.cap is None:
        found: tuple[torch.Tensor, torch.Tensor] = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, causal, attn_mask=mask, scale=score_scaling.scaling
        )
        return found
    if causal:
        hidden = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device).triu(1)
        lowest = torch.finfo(query.dtype).min
        mask = torch.zeros(hidden.shape, dtype=query.dtype, device=query.device).masked_fill_(hidden, lowest)
        mask = mask[None, None]
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    pieces = [
        attend_in_full(
            query[:, :, at], key.mT, value, score_scaling, None if mask is None else mask[:, :, at]
        )
        for start in range(0, query.shape[2], QUERY_ROWS)
        for at in [slice(start, start + QUERY_ROWS)]
    ]
    return torch.cat([out for out, _ in pieces], 2), torch.cat([log for _, log in pieces], 2)


def attend_in_full(
    query: torch.Tensor,
    transposed_key: torch.Tensor,
    value: torch.Tensor,
    score_scaling: ScoreScaling,
    mask: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Like `attend_span`, but holds all scores at once and requires as many key heads as heads.

    Args:
        query: `[rows, heads, queries, head size]`.
        transposed_key: `[rows, heads, head size, keys]`.
        value: `[rows, heads, keys, head size]`.
        score_scaling: The scaling of the scores.
        mask: Added to the scores, `[rows or 1, 1, queries or 1, keys]`.
    """
    scores = (query @ transposed_key).to(SCORING_DTYPE).mul_(score_scaling.scaling)
    if score_scaling.cap is not None:
        scores = torch.tanh(scores / score_scaling.cap) * score_scaling.cap
    if mask is not None:
        scores += mask
    weights, denominators = softmax_with_logsumexp(scores)
    return weights.to(value.dtype) @ value, denominators


def join_span(
    values: torch.Tensor, denominators: torch.Tensor, more: torch.Tensor, more_denominators: torch.Tensor
) -> None:
    """Joins a span over further keys into attended values, in place.

    Args:
        values: `[rows, heads, queries, head size]`, changed in place.
        denominators: Their log denominators `[rows, heads, queries]`, changed in place.
        more: The attended values of the same queries over other keys.
        more_denominators: The log denominators of `more`.
    """
    share = torch.sigmoid(more_denominators - denominators)
    values.lerp_(more, share[..., None].to(values.dtype))
    denominators.copy_(torch.logaddexp(denominators, more_denominators))


def additive(visible: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Returns a mask to be added to scores, `[1, 1, queries, keys]`, from a boolean matrix of visible keys.

    It uses the lowest finite number, not minus infinity: a query that sees no key of a span then has a
    denominator close to zero instead of NaN.
    """
    mask = torch.zeros(visible.shape, dtype=dtype, device=visible.device)
    return mask.masked_fill_(~visible, torch.finfo(dtype).min)[None, None]
