"""Keys and values of the rows that are being continued."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch


@dataclass(frozen=True, eq=False)
class Prefix:
    """What a group of rows begins with, read once.

    Args:
        ids: Its tokens.
        layers: Keys and values `[1, key heads, length, head size]` of each layer, once it is read.
    """

    ids: tuple[int, ...]
    layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)

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
    """Room for the rows' own keys and values; the rows in use are always the first ones."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def write(
        self, layer: int, slot: slice, columns: slice | torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> None:
        """Writes into slots, making room where it lacks.

        Args:
            layer: The layer.
            slot: Which slots, neighbors.
            columns: Which tokens of theirs: a range (for one slot), or one per slot.
            key: `[slots, key heads, tokens, head size]`.
            value: As the keys.
        """
        end = int(columns.max()) + 1 if isinstance(columns, torch.Tensor) else columns.stop
        for buffer, given in zip(self._room(layer, slot.stop, end, key, value), (key, value), strict=True):
            if isinstance(columns, torch.Tensor):
                rows = torch.arange(slot.start, slot.stop, device=given.device)
                buffer[rows, :, columns] = given[:, :, 0]
            else:
                buffer[slot, :, columns] = given

    def read(self, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of all rows in use, `[rows, key heads, longest, head size]`."""
        longest = max(row.length for row in self.rows)
        key, value = self._layers[layer]
        return key[: len(self.rows), :, :longest], value[: len(self.rows), :, :longest]

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
        """The layer's buffers with at least so many slots and columns."""
        if layer in self._layers:
            have = self._layers[layer][0].shape
            if slots <= have[0] and columns <= have[2]:
                return self._layers[layer]
            slots, columns = max(slots, have[0]), have[2] if columns <= have[2] else columns * 5 // 4
        grown = []
        for number, given in enumerate((key, value)):
            buffer = given.new_zeros(slots, given.shape[1], columns, given.shape[3])
            if layer in self._layers:
                old = self._layers[layer][number]
                buffer[: old.shape[0], :, : old.shape[2]] = old
            grown.append(buffer)
        self._layers[layer] = grown[0], grown[1]
        return self._layers[layer]
