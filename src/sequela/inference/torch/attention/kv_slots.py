"""The key-value cache of the rows that are being continued."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from sequela.inference.torch.attention.wide import WideKeys


@dataclass(frozen=True, eq=False)
class PrefixLayer:
    """The keys and values of a prefix in one layer.

    Args:
        key: `[1, key heads, length, head size]`.
        value: The values, shaped like the keys.
        wide: Both in a layout for many queries, if that is worthwhile.
    """

    key: torch.Tensor
    value: torch.Tensor
    wide: WideKeys | None


@dataclass(frozen=True, eq=False)
class Prefix:
    """The common prefix of a group of rows, read once.

    Args:
        ids: Its tokens.
        layers: Its keys and values in each layer, after it has been read.
    """

    ids: tuple[int, ...]
    layers: dict[int, PrefixLayer] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """The number of tokens."""
        return len(self.ids)


@dataclass(eq=False)
class Row:
    """A row in a slot.

    Args:
        prefix: The shared prefix; None if the row shares none.
        length: The number of its own tokens in the slot.
    """

    prefix: Prefix | None
    length: int

    @property
    def start(self) -> int:
        """The position of the first token after the prefix."""
        return 0 if self.prefix is None else self.prefix.length


class Slots:
    """Buffers for the rows' own keys and values; the rows in use are always the first ones.

    Keys are stored transposed, so that the scores of one new token are a product with rows of memory.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    @property
    def longest(self) -> int:
        """The number of own tokens of the longest row."""
        return max(row.length for row in self.rows)

    def write_row(self, layer: int, slot: int, key: torch.Tensor, value: torch.Tensor) -> None:
        """Writes a row's first tokens.

        Args:
            layer: The layer.
            slot: The slot.
            key: `[1, key heads, tokens, head size]`.
            value: The values, shaped like the keys.
        """
        n_tokens = key.shape[2]
        keys, values = self._room(layer, slot + 1, n_tokens, key, value)
        keys[slot, :, :, :n_tokens] = key[0].transpose(1, 2)
        values[slot, :, :n_tokens] = value[0]

    def write_step(self, layer: int, columns: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> None:
        """Writes one more token of every row in use.

        Args:
            layer: The layer.
            columns: The index of each token in its row, `[rows]`.
            key: `[rows, key heads, 1, head size]`.
            value: The values, shaped like the keys.
        """
        keys, values = self._room(layer, len(key), self.longest, key, value)
        rows = torch.arange(len(key), device=key.device)
        keys[rows, :, :, columns] = key[:, :, 0]
        values[rows, :, columns] = value[:, :, 0]

    def read(self, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns the keys and values of all rows in use.

        Returns:
            Keys `[rows, key heads, head size, longest]`, values `[rows, key heads, longest, head size]`.
        """
        keys, values = self._layers[layer]
        return keys[: len(self.rows), ..., : self.longest], values[: len(self.rows), :, : self.longest]

    def leave(self, slot: int) -> None:
        """Frees a slot; the last row moves into it.

        The freed buffers are cleared: they are masked from then on, but zero times NaN is NaN.
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
        """Returns the layer's buffers, enlarged to at least this number of slots and columns."""
        old = self._layers.get(layer)
        if old is not None:
            shape = old[1].shape
            if slots <= shape[0] and columns <= shape[2]:
                return old
            slots = max(slots, shape[0])
            columns = shape[2] if columns <= shape[2] else columns * 3 // 2
        heads = key.shape[1]
        keys = key.new_zeros(slots, heads, key.shape[3], columns)
        values = value.new_zeros(slots, heads, columns, value.shape[3])
        if old is not None:
            keys[: shape[0], ..., : shape[2]], values[: shape[0], :, : shape[2]] = old
        self._layers[layer] = keys, values
        return keys, values
