"""Attention of many queries over keys that all of them see, as plain matrix products through oneDNN.

PyTorch's fused attention on CPUs multiplies through MKL, in small tiles, which is slower; see
`models/forward/linear_products.py`.
"""

from __future__ import annotations

import torch

from sequela.core.precision import SCORING_DTYPE
from sequela.inference.torch.packed_linear import packs_linears
from sequela.models.forward.linear_products import direct_linear, packed_linear

WIDE_QUERIES = 128  # from this many queries and WIDE_KEYS keys, plain matrix products beat fused attention
REUSED_QUERIES = 48  # the same limit for keys that are packed already
WIDE_KEYS = 64
WIDE_SCORES = 256 * 1024  # scores held at a time: they stay in the processor's cache


class WideKeys:
    """Keys and values of one row, laid out for matrix products.

    Args:
        key: `[1, key heads, keys, head size]`.
        value: The values, shaped like the keys.
        scaling: The factor of the dot products.
        reused: True if they are used repeatedly, so that packing them is worthwhile.
    """

    def __init__(self, key: torch.Tensor, value: torch.Tensor, scaling: float, reused: bool) -> None:
        laid_out = packed_linear if reused else direct_linear
        self._keys = [laid_out(head) for head in key[0].to(SCORING_DTYPE) * scaling]
        self._values = [laid_out(head.T) for head in value[0]]
        self._n_keys = key.shape[2]
        self._dtype = value.dtype

    def attend(self, query: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Attends all queries over all keys, in chunks of queries: scores in fp32, values in their own dtype.

        Args:
            query: `[1, heads, queries, head size]`; the number of heads is a multiple of the key heads.

        Returns:
            As `attend_span`.
        """
        _, heads, n_queries, head_size = query.shape
        n_key_heads = len(self._keys)
        at_once = max(WIDE_QUERIES, WIDE_SCORES // self._n_keys)
        # Tokens before heads in memory, as the model's next layer reads them.
        attended = query.new_empty(1, n_queries, heads, head_size).transpose(1, 2)
        denominators = query.new_empty(1, heads, n_queries, dtype=SCORING_DTYPE)
        folded = query[0].to(SCORING_DTYPE).reshape(n_key_heads, -1, head_size)
        for head, queries in enumerate(folded):
            outputs = query.new_empty(len(queries), head_size)
            logs = folded.new_empty(len(queries))
            for start in range(0, len(queries), at_once):
                at = slice(start, start + at_once)
                weights, logs[at] = softmax_with_logsumexp(self._keys[head](queries[at]))
                outputs[at] = self._values[head](weights.to(self._dtype))
            same = slice(head * heads // n_key_heads, (head + 1) * heads // n_key_heads)
            attended[0, same] = outputs.view(-1, n_queries, head_size)
            denominators[0, same] = logs.view(-1, n_queries)
        return attended, denominators


def is_wide(query: torch.Tensor, key: torch.Tensor, reused: bool = False) -> bool:
    """Returns whether one row has enough queries and keys for products through oneDNN to be faster."""
    shared = query.shape[1] // key.shape[1] * query.shape[2]
    enough = shared >= (REUSED_QUERIES if reused else WIDE_QUERIES) and key.shape[2] >= WIDE_KEYS
    return enough and len(query) == 1 and multiplies_wide(query)


def multiplies_wide(states: torch.Tensor) -> bool:
    """Returns whether products with these states go through oneDNN, in fp32 and in their own dtype."""
    return packs_linears(states.device, SCORING_DTYPE) and packs_linears(states.device, states.dtype)


def softmax_with_logsumexp(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns the softmax over the last dimension, and the natural logs of its denominators.

    With the maximum subtracted from the scores, the largest weight is the reciprocal of the denominator.
    """
    weights = scores.softmax(-1)
    return weights, scores.amax(-1) - weights.amax(-1).log_()
