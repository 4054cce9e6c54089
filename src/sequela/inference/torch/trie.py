"""Rows of tokens as one tree: what they share at the start stands in it once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

MARK = 1 << 40
"""Added to a token at which is decided, while a trie is built."""


@dataclass(frozen=True)
class Trie:
    """A token trie, its nodes in depth-first order, so that every subtree is one range of nodes.

    Args:
        ids: The token of each node, `[nodes]`.
        positions: Its position in every row that runs through it, `[nodes]`.
        parents: The node before it; -1 at the start of a row, `[nodes]`.
        ends: Where its subtree ends (exclusive), `[nodes]`.
        leaves: The last node of each row, in the order the rows were given.
        decisions: For each node the node at which is decided what holds there, itself or one before it; -1
            where nothing is decided yet, `[nodes]`. Empty if no decision was asked for.
    """

    ids: Integers
    positions: Integers
    parents: Integers
    ends: Integers
    leaves: Integers
    decisions: Integers

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Trie:
        """Builds the trie of rows, each with at least one token; rows may be equal."""
        return cls._built(rows)

    @classmethod
    def deciding(cls, rows: Sequence[Sequence[int]], lengths: Sequence[int]) -> Trie:
        """A trie in which a token at which is decided is another node than the same token without.

        Args:
            rows: The rows.
            lengths: For each row how many tokens stand up to the deciding one, itself included.
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
        before = np.zeros(0, np.int64)  # the row before, and the node of each of its tokens
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
        """The nodes from the start of a row to `node`, both included, or the `last` ones of them."""
        found = np.empty(int(self.positions[node]) + 1 if last is None else last, np.int64)
        for place in range(len(found) - 1, -1, -1):
            found[place] = node
            node = int(self.parents[node])
        return found


def common_prefix(one: Integers, other: Integers) -> int:
    """How many tokens two rows share at the start."""
    shorter = min(len(one), len(other))
    different = one[:shorter] != other[:shorter]
    return int(different.argmax()) if different.any() else shorter


def _subtree_ends(depths: Integers) -> Integers:
    """For each node the first node after it that is not deeper: in depth-first order its subtree's end."""
    ends = np.full(len(depths), len(depths), np.int64)
    open_nodes: list[int] = []
    for node, depth in enumerate(depths.tolist()):
        while open_nodes and depths[open_nodes[-1]] >= depth:
            ends[open_nodes.pop()] = node
        open_nodes.append(node)
    return ends
