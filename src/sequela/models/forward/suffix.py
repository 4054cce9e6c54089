"""The positions of a batch that are run again, row by row from different starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache, DynamicCache

from sequela.models.forward.batch import Batch, places_in


class FixedPrefix(Cache):  # type: ignore[misc]  # transformers is not typed
    """A read-only cache: keys and values of the positions before, for one block.

    Args:
        keys: `[rows, heads, longest prefix, head size]`.
        values: As the keys.
    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__(layers=[])
        self.prefix_keys = keys
        self.prefix_values = values

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The prefix with the new keys and values behind it; nothing is kept."""
        return (
            torch.cat([self.prefix_keys, key_states], dim=2),
            torch.cat([self.prefix_values, value_states], dim=2),
        )


@dataclass(frozen=True)
class SuffixBatch:
    """Row r from position `starts[r]` on, side by side in a rectangle.

    Args:
        starts: `[rows]`.
        positions: The position behind each column, `[rows, width]`; a row that ends earlier repeats
            its last one, where nothing is read.
    """

    starts: torch.Tensor
    positions: torch.Tensor

    @classmethod
    def of(cls, batch: Batch, starts: Sequence[int]) -> SuffixBatch:
        """The tail of a batch from given starts."""
        first = torch.tensor(list(starts), device=batch.ids.device)
        lengths = torch.tensor(batch.lengths, device=batch.ids.device)
        width = int((lengths - first).max())
        columns = torch.arange(width, device=batch.ids.device)
        return cls(first, torch.minimum(first[:, None] + columns, lengths[:, None] - 1))

    def cut(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tail of `[rows or 1, longest, ...]`, `[rows, width, ...]`."""
        rows = torch.arange(len(self.starts), device=tensor.device)
        (positions,) = places_in(tensor, self.positions)
        return tensor.expand(len(rows), *tensor.shape[1:])[rows[:, None], positions]

    def arguments(
        self, recorded: dict[str, Any], cache: DynamicCache, layer: int, dtype: torch.dtype
    ) -> dict[str, Any]:
        """What a block is given for the tail, made from what it was given for the whole batch."""
        longest = int(self.starts.max())
        prefix = FixedPrefix(
            cache.layers[layer].keys[:, :, :longest], cache.layers[layer].values[:, :, :longest]
        )
        made: dict[str, Any] = {}
        for name, value in recorded.items():
            if isinstance(value, Cache):
                made[name] = prefix
            elif name == "attention_mask":
                made[name] = self.mask(dtype)
            elif isinstance(value, tuple):
                made[name] = tuple(self.cut(part) for part in value)
            elif isinstance(value, torch.Tensor) and value.dim() >= 2:
                made[name] = self.cut(value)
            else:
                made[name] = value
        return made

    def mask(self, dtype: torch.dtype) -> torch.Tensor:
        """What each column may see, additive, `[rows, 1, width, longest prefix + width]`."""
        device = self.starts.device
        width, longest = self.positions.shape[1], int(self.starts.max())
        prefix = torch.arange(longest, device=device) < self.starts[:, None]
        own = torch.ones(width, width, dtype=torch.bool, device=device).tril()
        rows = len(self.starts)
        visible = torch.cat(
            [prefix[:, None, :].expand(rows, width, longest), own.expand(rows, width, width)], dim=2
        )
        mask = torch.zeros(visible.shape, dtype=dtype, device=device)
        return mask.masked_fill(~visible, torch.finfo(dtype).min)[:, None]
