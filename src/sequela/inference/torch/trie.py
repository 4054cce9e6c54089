"""A token trie: rows of tokens as one tree, in which common prefixes occur once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

MARK = 1 << 40
"""The offset added to the token of a decision position while a trie is built."""


@dataclass(frozen=True)
class Trie:
    """A token trie with its nodes in depth-first order, so that every subtree is one range of nodes.

    Args:
        ids: The token of each node, `[nodes]`.
        positions: The node's position in every row that contains it, `[nodes]`.
        parents: The node before it; -1 at the start of a row, `[nodes]`.
        ends: The end of its subtree (exclusive), `[nodes]`.
        leaves: The last node of each row, in the order of the rows.
        decisions: For each node the node whose decision applies to it, itself or an ancestor; -1 before any
            decision, `[nodes]`. Empty for a trie without decisions.
    """

    ids: Integers
    positions: Integers
    parents: Integers
    ends: Integers
    leaves: Integers
    decisions: Integers

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Trie:
        """Builds the trie of rows that each have at least one token; rows may be equal."""
        return cls._built(rows)

    @classmethod
    def deciding(cls, rows: Sequence[Sequence[int]], lengths: Sequence[int]) -> Trie:
        """Builds a trie in which a token with a decision and the same token without one are two nodes.

        Args:
            rows: The rows.
            lengths: For each row the number of tokens up to the deciding one, itself included.
        """
        marked = [
            (*row[: length - 1], row[length - 1] + MARK, *row[length:])
            for row, length in zip(rows, lengths, strict=True)
        ]
        built = cls._built(marked)
        decides = built.ids >= MARK
        decisions = np.full(len(built), -1, np.int64)
        for node, parent in enumerate(built.parents.tolist()):
            decisions[node] = node if decides[node] else decisions[parent] if parent >= 0 else -1
        return replace(built, ids=built.ids % MARK, decisions=decisions)

    @classmethod
    def _built(cls, rows: Sequence[Sequence[int]]) -> Trie:
        order = sorted(range(len(rows)), key=lambda number: tuple(rows[number]))
        ids: list[Integers] = []
        positions: list[Integers] = []
        parents: list[Integers] = []
        leaves = np.zeros(len(rows), np.int64)
        before = np.zeros(0, np.int64)  # the previous row; `path` has the node of each of its tokens
        path = np.zeros(0, np.int64)
        size = 0
        for number in order:
            row = np.asarray(rows[number], np.int64)
            shared = common_prefix(before, row)
            fresh = np.arange(size, size + len(row) - shared)
            ids.append(row[shared:])
            positions.append(np.arange(shared, len(row)))
            if len(fresh):
                parents.append(np.concatenate([path[shared - 1 : shared] if shared else [-1], fresh[:-1]]))
            path = np.concatenate([path[:shared], fresh])
            before, size = row, size + len(fresh)
            leaves[number] = path[-1]
        joined = [np.concatenate([*parts, np.zeros(0, np.int64)]) for parts in (ids, positions, parents)]
        depths = joined[1]
        none = np.zeros(0, np.int64)
        return cls(joined[0], depths, joined[2], _subtree_ends(depths), leaves, none)

    def __len__(self) -> int:
        return len(self.ids)

    def path(self, node: int, last: int | None = None) -> Integers:
        """Returns the nodes from the start of a row to `node`, both included, or only the `last` of them."""
        nodes = np.empty(int(self.positions[node]) + 1 if last is None else last, np.int64)
        for index in range(len(nodes) - 1, -1, -1):
            nodes[index] = node
            node = int(self.parents[node])
        return nodes


def common_prefix(one: Integers, other: Integers) -> int:
    """Returns the number of tokens that two rows share at the start."""
    shorter = min(len(one), len(other))
    different = one[:shorter] != other[:shorter]
    return int(different.argmax()) if different.any() else shorter


def _subtree_ends(depths: Integers) -> Integers:
    """Returns each node's subtree end: in depth-first order, the first later node that is not deeper."""
    ends = np.full(len(depths), len(depths), np.int64)
    open_nodes: list[int] = []
    for node, depth in enumerate(depths.tolist()):
        while open_nodes and depths[open_nodes[-1]] >= depth:
            ends[open_nodes.pop()] = node
        open_nodes.append(node)
    return ends
