"""The replacement of a model's attention while it runs the packs of a trie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sequela.core.precision import SCORING_DTYPE
from sequela.inference.torch.attention.base import LayerCall, ScoreScaling, additive, attend_span, join_span
from sequela.inference.torch.packing import Pack, Span
from sequela.inference.torch.trie import Integers, Trie


@dataclass(frozen=True)
class _Piece:
    """A span with its mask, restricted to a layer's sliding window."""

    queries: slice
    keys: slice
    causal: bool
    mask: torch.Tensor | None


class PackAttention:
    """An attention function for the packs of one trie, in order.

    It keeps the keys and values of the nodes that the next pack carries, per layer.

    Args:
        trie: The trie.
    """

    def __init__(self, trie: Trie) -> None:
        self._trie = trie
        self._carried: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._pieces: dict[int | None, tuple[list[_Piece], list[_Piece]]] = {}
        self._pack: Pack | None = None

    def begin(self, pack: Pack) -> None:
        """Sets the pack that goes through the blocks next."""
        self._pack = pack
        self._pieces = {}

    def __call__(self, call: LayerCall) -> torch.Tensor:
        """Computes attention for the tokens of the pack, `[1, heads, tokens, head size]`."""
        pack = self._pack
        assert pack is not None
        query, key, value = call.query, call.key, call.value
        if len(pack.carried):
            keys, values = self._carried[call.layer]
            key, value = torch.cat([keys, key], 2), torch.cat([values, value], 2)
        own, shared = self._pieces_within(pack, call.window, query)
        # Tokens before heads in memory, as the model's next layer reads them.
        attended = query.new_empty(1, query.shape[2], query.shape[1], value.shape[3]).transpose(1, 2)
        denominators = query.new_empty(query.shape[:3], dtype=SCORING_DTYPE)
        for piece in own:
            attended[:, :, piece.queries], denominators[:, :, piece.queries] = _attend(
                piece, query, key, value, call.score_scaling
            )
        for piece in shared:
            join_span(
                attended[:, :, piece.queries],
                denominators[:, :, piece.queries],
                *_attend(piece, query, key, value, call.score_scaling),
            )
        if not pack.keeps_carried_only:
            keep = torch.from_numpy(pack.keep).to(key.device)
            self._carried[call.layer] = key.index_select(2, keep), value.index_select(2, keep)
        elif len(pack.carried):
            self._carried[call.layer] = keys[:, :, : len(pack.keep)], values[:, :, : len(pack.keep)]
        return attended

    def _pieces_within(
        self, pack: Pack, window: int | None, query: torch.Tensor
    ) -> tuple[list[_Piece], list[_Piece]]:
        """Returns the pack's spans, restricted to a sliding window."""
        if window not in self._pieces:
            nodes = np.concatenate([pack.carried, np.arange(pack.start, pack.end)])
            positions = self._trie.positions[nodes]
            own, shared = (
                [piece for span in spans if (piece := _piece(span, pack, positions, window, query))]
                for spans in (pack.own, pack.shared)
            )
            self._pieces[window] = own, shared
        return self._pieces[window]


def _piece(
    span: Span, pack: Pack, positions: Integers, window: int | None, query: torch.Tensor
) -> _Piece | None:
    """Returns one span with its mask; None if the window lets no query see any key."""
    queries, keys = slice(*span.queries), slice(*span.keys)
    query_positions = positions[len(pack.carried) :][queries]
    key_positions = positions[keys]
    visible = span.visible
    if window is not None and query_positions.max() - key_positions.min() >= window:
        if query_positions.min() - key_positions.max() >= window:
            return None
        near = query_positions[:, None] - key_positions < window
        if span.kind == "causal":
            visible = np.tri(*near.shape, dtype=np.bool_)
        visible = near if visible is None else near & visible
    if visible is None:
        return _Piece(queries, keys, span.kind == "causal", None)
    mask = additive(torch.from_numpy(visible).to(query.device), query.dtype)
    return _Piece(queries, keys, False, mask)


def _attend(
    piece: _Piece, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, score_scaling: ScoreScaling
) -> tuple[torch.Tensor, torch.Tensor]:
    return attend_span(
        query[:, :, piece.queries],
        key[:, :, piece.keys],
        value[:, :, piece.keys],
        score_scaling,
        piece.mask,
        piece.causal,
    )
