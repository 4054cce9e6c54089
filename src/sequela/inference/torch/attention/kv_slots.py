"""Keys and values of the rows that are being continued."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from sequela.inference.torch.attention.wide import WideKeys


@dataclass(frozen=True, eq=False)
class PrefixLayer:
    """What one layer keeps of a prefix.

    Args:
        key: `[1, key heads, length, head size]`.
        value: As the keys.
        wide: Both laid out for many queries, where that pays.
    """

    key: torch.Tensor
    value: torch.Tensor
    wide: WideKeys | None


@dataclass(frozen=True, eq=False)
class Prefix:
    """What a group of rows begins with, read once.

    Args:
        ids: Its tokens.
        layers: Its keys and values in each layer, once it is read.
    """

    ids: tuple[int, ...]
    layers: dict[int, PrefixLayer] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """How many tokens it has."""
        return len(self.ids)


@dataclass(eq=False)
class Row:
    """A row in a slot.

    Args:
        prefix: What it begins with; None if nothing is shared.
        length: How many tokens of its own are in the slot.
    """

    prefix: Prefix | None
    length: int

    @property
    def start(self) -> int:
        """The position of the first token of its own."""
        return 0 if self.prefix is None else self.prefix.length


class Slots:
    """Room for the rows' own keys and values; the rows in use are always the first ones.

    Keys lie transposed, so that the scores of one new token are a product with rows of memory.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    @property
    def longest(self) -> int:
        """How many tokens of its own the longest row has."""
        return max(row.length for row in self.rows)

    def write_row(self, layer: int, slot: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Writes a row's first tokens.

        Args:
            layer: The layer.
            slot: The slot.
            key: `[1, key heads, tokens, head size]`.
            value: As the keys.
        """
        n_tokens = key.shape[2]
        keys, values = self._room(layer, slot + 1, n_tokens, key, value)
        keys[slot, :, :, :n_tokens] = key[0].transpose(1, 2)
        values[slot, :, :n_tokens] = value[0]

    def write_step(self, layer: int, columns: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> None:
        """Writes one more token of every row in use.

        Args:
            layer: The layer.
            columns: Which token of its row each is, `[rows]`.
            key: `[rows, key heads, 1, head size]`.
            value: As the keys.
        """
        keys, values = self._room(layer, len(key), self.longest, key, value)
        rows = torch.arange(len(key), device=key.device)
        keys[rows, :, :, columns] = key[:, :, 0]
        values[rows, :, columns] = value[:, :, 0]

    def read(self, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of all rows in use.

        Returns:
            Keys `[rows, key heads, head size, longest]`, values `[rows, key heads, longest, head size]`.
        """
        keys, values = self._layers[layer]
        return keys[: len(self.rows), ..., : self.longest], values[: len(self.rows), :, : self.longest]

    def leave(self, slot: int) -> None:
        """Frees a slot; the last row moves into it.

        What is left behind is cleared: it is masked from then on, but zero times NaN is NaN.
        """
        last = len(self.rows) - 1
        for buffers in self._layers.values():
            for buffer in buffers:
                if slot != last:
                    buffer[slot] = buffer[last]
                buffer[last] = 0
        self.rows[slot] = self.rows[last]
        self.rows.pop()

    def _room(
        self, layer: int, slots: int, columns: int, key: torch.Tensor, value: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The layer's buffers, with at least so many slots and columns."""
        old = self._layers.get(layer)
        if old is not None:
            have = old[1].shape
            if slots <= have[0] and columns <= have[2]:
                return old
            slots = max(slots, have[0])
            columns = have[2] if columns <= have[2] else columns * 3 // 2
        heads = key.shape[1]
        keys = key.new_zeros(slots, heads, key.shape[3], columns)
        values = value.new_zeros(slots, heads, columns, value.shape[3])
        if old is not None:
            keys[: have[0], ..., : have[2]], values[: have[0], :, : have[2]] = old
        self._layers[layer] = keys, values
        return keys, values
