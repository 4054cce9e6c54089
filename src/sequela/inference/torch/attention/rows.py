"""The replacement of a model's attention while rows are continued."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch

from sequela.inference.torch.attention.base import (
    LayerCall,
    ScoreScaling,
    additive,
    attend_in_full,
    attend_span,
    join_span,
)
from sequela.inference.torch.attention.kv_slots import Prefix, PrefixLayer, Row, Slots
from sequela.inference.torch.attention.wide import WIDE_KEYS, WideKeys, is_wide, multiplies_wide


@dataclass(eq=False)
class RowAttention:
    """An attention function for rows in slots.

    It supports three kinds of passes: a prefix, one row of tokens `[1, tokens]`; new rows after their
    prefixes, packed one after the other, `[1, tokens]`; one step, a token of every row in use, `[rows, 1]`.

    Args:
        slots: The rows.
    """

    slots: Slots
    _prefix: Prefix | None = None
    _new: tuple[int, ...] = ()
    _behind: tuple[tuple[Prefix, slice, torch.Tensor], ...] = ()
    _masks: dict[int | None, _StepMasks] = field(default_factory=dict)

    def begin_prefix(self, prefix: Prefix) -> None:
        """Prepares a pass that reads a prefix and stores its keys and values in it."""
        self._prefix, self._new = prefix, ()

    def begin_rows(self, rows: Sequence[Row]) -> None:
        """Prepares a pass that reads new rows, which take the next slots."""
        self._prefix, self._new = None, tuple(range(len(self.slots.rows), len(self.slots.rows) + len(rows)))
        self._behind = tuple(_behind_prefixes(rows))
        self.slots.rows += rows

    def begin_step(self) -> None:
        """Prepares a pass that reads one more token of every row; `Row.length` already counts it."""
        self._prefix, self._new, self._masks = None, (), {}

    def __call__(self, call: LayerCall) -> torch.Tensor:
        """Computes attention for the tokens of the pass, `[rows, heads, tokens, head size]`."""
        if self._prefix is not None:
            self._prefix.layers[call.layer] = _prefix_layer(call)
            attended, _ = _causal(call, slice(None))
            return attended
        return self._new_rows(call) if self._new else self._step(call)

    def _new_rows(self, call: LayerCall) -> torch.Tensor:
        parts = []
        start = 0
        for slot in self._new:
            at = slice(start, start + self.slots.rows[slot].length)
            self.slots.write_row(call.layer, slot, call.key[:, :, at], call.value[:, :, at])
            parts.append(_causal(call, at))
            start = at.stop
        attended = torch.cat([part for part, _ in parts], 2)
        denominators = torch.cat([part for _, part in parts], 2)
        for prefix, at, positions in self._behind:
            query = call.query[:, :, at]
            mask = _prefix_mask(positions.to(query.device), prefix, call.window, query.dtype)
            join_span(
                attended[:, :, at],
                denominators[:, :, at],
                *_attend_prefix(query, prefix.layers[call.layer], call.score_scaling, mask),
            )
        return attended

    def _step(self, call: LayerCall) -> torch.Tensor:
        query = call.query
        if call.window not in self._masks:
            self._masks[call.window] = _StepMasks.of(self.slots, call.window, query)
        masks = self._masks[call.window]
        self.slots.write_step(call.layer, masks.columns, call.key, call.value)
        keys, values = self.slots.read(call.layer)
        # The heads that share keys become queries of one head: the keys are read once.
        groups = query.shape[1] // keys.shape[1]
        folded = query.view(len(query), keys.shape[1], groups, -1)
        attended, denominators = attend_in_full(folded, keys, values, call.score_scaling, masks.own)
        attended = attended.flatten(1, 2)[:, :, None]
        denominators = denominators.flatten(1, 2)[:, :, None]
        for prefix, rows, mask in masks.prefixes:
            # The rows become queries of one row: the prefix is read once for all of them.
            together = query[rows, :, 0].transpose(0, 1)[None]
            more, more_denominators = _attend_prefix(
                together, prefix.layers[call.layer], call.score_scaling, mask
            )
            part, part_denominators = attended[rows], denominators[rows]
            join_span(
                part,
                part_denominators,
                more[0].transpose(0, 1)[:, :, None],
                more_denominators[0].transpose(0, 1)[:, :, None],
            )
            if isinstance(rows, torch.Tensor):  # `part` is a copy then; a slice was joined in place
                attended[rows] = part
        return attended


def _behind_prefixes(rows: Sequence[Row]) -> Iterator[tuple[Prefix, slice, torch.Tensor]]:
    """Yields each prefix with the range and the positions of the tokens of neighboring new rows after it."""
    start = 0
    for prefix, behind in groupby(rows, lambda row: row.prefix):
        positions = torch.cat([torch.arange(row.start, row.start + row.length) for row in behind])
        if prefix is not None:
            yield prefix, slice(start, start + len(positions)), positions
        start += len(positions)


@dataclass(frozen=True)
class _StepMasks:
    """The masks of one step, the same in all layers with one window.

    Args:
        columns: The index of each row's new token in its slot, `[rows]`.
        own: The mask over the slots, `[rows, 1, 1, longest]`.
        prefixes: Each prefix with the rows after it and the mask over it.
    """

    columns: torch.Tensor
    own: torch.Tensor
    prefixes: tuple[tuple[Prefix, torch.Tensor | slice, torch.Tensor | None], ...]

    @classmethod
    def of(cls, slots: Slots, window: int | None, query: torch.Tensor) -> _StepMasks:
        device = query.device
        columns = torch.tensor([row.length - 1 for row in slots.rows], device=device)
        positions = torch.arange(int(columns.max()) + 1, device=device)
        visible = positions <= columns[:, None]
        if window is not None:
            visible &= columns[:, None] - positions < window
        behind: dict[Prefix, list[int]] = {}
        for slot, row in enumerate(slots.rows):
            if row.prefix is not None:
                behind.setdefault(row.prefix, []).append(slot)
        prefixes = []
        for prefix, numbers in behind.items():
            all_rows = len(numbers) == len(slots.rows)
            rows = slice(None) if all_rows else torch.tensor(numbers, device=device)
            mask = _prefix_mask(columns[rows] + prefix.length, prefix, window, query.dtype)
            prefixes.append((prefix, rows, mask))
        own = additive(visible, query.dtype)[0, 0, :, None, None]
        return cls(columns, own, tuple(prefixes))


def _prefix_mask(
    positions: torch.Tensor, prefix: Prefix, window: int | None, dtype: torch.dtype
) -> torch.Tensor | None:
    """Returns the mask over a prefix for queries at these positions; None if they see all of it."""
    if window is None or int(positions.max()) < window:
        return None
    prefix_positions = torch.arange(prefix.length, device=positions.device)
    return additive(positions[:, None] - prefix_positions < window, dtype)


def _prefix_layer(call: LayerCall) -> PrefixLayer:
    """Returns the keys and values that a layer keeps of a prefix."""
    lay_out = call.score_scaling.cap is None and call.key.shape[2] >= WIDE_KEYS and multiplies_wide(call.key)
    wide = WideKeys(call.key, call.value, call.score_scaling.scaling, reused=True) if lay_out else None
    return PrefixLayer(call.key, call.value, wide)


def _attend_prefix(
    query: torch.Tensor, layer: PrefixLayer, score_scaling: ScoreScaling, mask: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Like `attend_span`, over a prefix."""
    if layer.wide is not None and mask is None and is_wide(query, layer.key, reused=True):
        return layer.wide.attend(query)
    # The heads that share keys become queries of one head: the keys are read once, not once for each head.
    n_heads, n_key_heads = query.shape[1], layer.key.shape[1]
    folded = query.reshape(1, n_key_heads, -1, query.shape[3])
    if mask is not None:
        mask = mask.repeat(1, 1, n_heads // n_key_heads, 1)
    attended, denominators = attend_span(folded, layer.key, layer.value, score_scaling, mask)
    return attended.reshape(query.shape), denominators.reshape(query.shape[:3])


def _causal(call: LayerCall, at: slice) -> tuple[torch.Tensor, torch.Tensor]:
    """Computes causal attention of a range of tokens over itself."""
    query, key, value = call.query[:, :, at], call.key[:, :, at], call.value[:, :, at]
    length = query.shape[2]
    if call.window is None or length <= call.window:
        return attend_span(query, key, value, call.score_scaling, causal=True)
    positions = torch.arange(length, device=query.device)
    distance = positions[:, None] - positions
    mask = additive((distance >= 0) & (distance < call.window), query.dtype)
    return attend_span(query, key, value, call.score_scaling, mask)
