"""The positions of a batch that are run again, with a different start for each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache, DynamicCache

from sequela.models.forward.batch import Batch, index_of


class FixedPrefix(Cache):  # type: ignore[misc]  # transformers is not typed
    """A read-only cache with the keys and values of the earlier positions in one block.

    Args:
        keys: `[rows, heads, longest prefix, head size]`.
        values: The values, shaped like the keys.
    """

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__(layers=[])
        self.prefix_keys = keys
        self.prefix_values = values

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the prefix with the new keys and values appended; stores nothing."""
        return (
            torch.cat([self.prefix_keys, key_states], dim=2),
            torch.cat([self.prefix_values, value_states], dim=2),
        )


@dataclass(frozen=True)
class SuffixBatch:
    """The suffixes of rows from position `starts[r]` on, padded to one width.

    Args:
        starts: `[rows]`.
        positions: The position of each column, `[rows, width]`; a shorter row repeats its last position, and
            nothing is read there.
    """

    starts: torch.Tensor
    positions: torch.Tensor

    @classmethod
    def of(cls, batch: Batch, starts: Sequence[int]) -> SuffixBatch:
        """Returns the suffixes of a batch from given starts."""
        first = torch.tensor(list(starts), device=batch.ids.device)
        lengths = torch.tensor(batch.lengths, device=batch.ids.device)
        width = int((lengths - first).max())
        columns = torch.arange(width, device=batch.ids.device)
        return cls(first, torch.minimum(first[:, None] + columns, lengths[:, None] - 1))

    def cut(self, tensor: torch.Tensor) -> torch.Tensor:
        """Cuts the suffixes from `[rows or 1, longest, ...]`; returns `[rows, width, ...]`."""
        rows = torch.arange(len(self.starts), device=tensor.device)
        (positions,) = index_of(tensor, self.positions)
        return tensor.expand(len(rows), *tensor.shape[1:])[rows[:, None], positions]

    def arguments(
        self, recorded: dict[str, Any], cache: DynamicCache, layer: int, dtype: torch.dtype
    ) -> dict[str, Any]:
        """Returns a block's arguments for the suffixes, derived from those for the whole batch."""
        longest = int(self.starts.max())
        prefix = FixedPrefix(
            cache.layers[layer].keys[:, :, :longest], cache.layers[layer].values[:, :, :longest]
        )
        arguments: dict[str, Any] = {}
        for name, value in recorded.items():
            if isinstance(value, Cache):
                arguments[name] = prefix
            elif name == "attention_mask":
                arguments[name] = self.mask(dtype)
            elif isinstance(value, tuple):
                arguments[name] = tuple(self.cut(part) for part in value)
            elif isinstance(value, torch.Tensor) and value.dim() >= 2:
                arguments[name] = self.cut(value)
            else:
                arguments[name] = value
        return arguments

    def mask(self, dtype: torch.dtype) -> torch.Tensor:
        """Returns the additive attention mask of the suffixes, `[rows, 1, width, longest prefix + width]`."""
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
