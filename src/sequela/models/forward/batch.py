"""Batches of token rows with right padding and explicit positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Batch:
    """Token rows of different lengths, padded to one length.

    Attention is causal and the padding comes after all real tokens, so no real token sees it and no attention
    mask is needed.

    Args:
        ids: Token ids `[rows, longest]`, padded on the right.
        positions: Positions `[rows, longest]`, counting from 0 in every row.
        lengths: The number of real tokens per row.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    lengths: tuple[int, ...]


def pad_right(rows: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> Batch:
    """Pads rows of token ids to one batch."""
    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), pad_id, dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row, dtype=torch.long)
    positions = torch.arange(longest).expand(len(rows), longest)
    return Batch(ids.to(device), positions.to(device), tuple(len(row) for row in rows))


def index_of(tensor: torch.Tensor, *positions: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Returns index tensors on the device of `tensor`, since a model may be spread over devices."""
    return tuple(one.to(tensor.device) for one in positions)
