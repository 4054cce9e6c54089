"""Cutting a trie into packs, and the attention spans of each pack.

In depth-first order, the ancestors of a pack's tokens outside the pack are all ancestors of its first
token, and every node is seen by one range of tokens. So attention over a tree consists of a few dense
pieces, with no pair of tokens in more than one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sequela.inference.torch.trie import Integers, Trie

BLOCK_TOKENS = 256  # a subtree up to this size is one masked piece, which is cheaper than many small ones
GROUP_TOKENS = 64  # small neighboring subtrees share a piece up to this size


@dataclass(frozen=True)
class Span:
    """The keys that a range of queries sees.

    Args:
        queries: First and end (exclusive), counted from the pack's first token.
        keys: First and end (exclusive), counted over the carried nodes and then the pack's tokens.
        kind: `full` (every query sees every key), `causal` (a chain: query i sees keys up to i) or
            `tree` (a query sees the keys in `visible`).
        visible: A boolean matrix `[queries, keys]`, for `tree` only.
    """

    queries: tuple[int, int]
    keys: tuple[int, int]
    kind: str
    visible: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Pack:
    """Neighboring nodes that go through the model together.

    Args:
        start: The first node.
        end: The end of the nodes (exclusive).
        carried: The ancestors of the first node, from the row's start; their keys and values come from
            earlier packs.
        own: Spans among the pack's tokens that contain each query once.
        shared: Spans in which later tokens see a whole ancestor chain, carried or of this pack.
        keep: The indices of the keys that the next pack carries, counted as in a span.
    """

    start: int
    end: int
    carried: Integers
    own: tuple[Span, ...]
    shared: tuple[Span, ...]
    keep: Integers

    def __len__(self) -> int:
        return self.end - self.start

    @property
    def keeps_carried_only(self) -> bool:
        """True if the next pack carries no node of this pack, only the first of its carried nodes or none."""
        return len(self.keep) == 0 or int(self.keep[-1]) < len(self.carried)


def pack_trie(trie: Trie, tokens: int, isolated: bool = False) -> list[Pack]:
    """Cuts a trie into packs of at most `tokens` nodes.

    Args:
        trie: The trie.
        tokens: The maximum number of nodes in a pack.
        isolated: If true, uses no masked spans and ends every chain at the end of a row. A masked key that
            isn't finite makes the result NaN even for queries that don't see it, since zero times NaN is
            NaN; in isolation, a row is affected only by its own tokens.
    """
    cuts = list(_cuts(trie, tokens))
    spans = _isolated_spans if isolated else _spans
    packs = []
    carried = np.zeros(0, np.int64)
    for start, end in zip([0, *cuts], cuts, strict=False):
        own, shared = spans(trie, start, end, carried)
        keys = np.concatenate([carried, np.arange(start, end)])
        after = trie.path(int(trie.parents[end])) if end < len(trie) and trie.parents[end] >= 0 else keys[:0]
        keep = np.searchsorted(keys, after)
        packs.append(Pack(start, end, carried, tuple(own), tuple(shared), keep))
        carried = after
    return packs


def _cuts(trie: Trie, tokens: int) -> Iterator[int]:
    """Yields the ends of packs: in the last quarter, at the shallowest next node, which carries least."""
    start = 0
    while len(trie) - start > tokens:
        earliest = start + max(1, tokens - tokens // 4)
        depths = trie.positions[earliest : start + tokens + 1]
        start = earliest + len(depths) - 1 - int(depths[::-1].argmin())
        yield start
    if start < len(trie):
        yield len(trie)


def _spans(trie: Trie, start: int, end: int, carried: Integers) -> tuple[list[Span], list[Span]]:
    own: list[Span] = []
    shared = list(_carried_spans(trie, start, end, carried))
    offset = len(carried) - start  # from a node to its key
    ranges = [(start, end)]
    while ranges:
        node, stop = ranges.pop()
        group = node
        while node < stop:
            subtree = min(int(trie.ends[node]), stop)
            if subtree - node > BLOCK_TOKENS:
                own += _own_span(trie, start, group, node, offset)
                chain = _chain_end(trie, node, subtree)
                own.append(Span((node - start, chain - start), (node + offset, chain + offset), "causal"))
                if chain < subtree:
                    seen_by = (chain - start, subtree - start)
                    shared.append(Span(seen_by, (node + offset, chain + offset), "full"))
                    ranges.append((chain, subtree))
                group = subtree
            elif subtree - group > GROUP_TOKENS:
                own += _own_span(trie, start, group, node, offset)
                group = node
            node = subtree
        own += _own_span(trie, start, group, stop, offset)
    return own, shared


def _isolated_spans(trie: Trie, start: int, end: int, carried: Integers) -> tuple[list[Span], list[Span]]:
    own: list[Span] = []
    shared = list(_carried_spans(trie, start, end, carried))
    offset = len(carried) - start
    leaves = np.sort(trie.leaves)
    node = start
    while node < end:
        subtree = min(int(trie.ends[node]), end)
        row_end = int(leaves[np.searchsorted(leaves, node)]) + 1
        # Branches are searched in the whole trie: one may be in a later pack.
        chain = min(_chain_end(trie, node, int(trie.ends[node])), row_end, end)
        own += _own_span(trie, start, node, chain, offset)
        if chain < subtree:
            seen_by = (chain - start, subtree - start)
            shared.append(Span(seen_by, (node + offset, chain + offset), "full"))
        node = chain
    return own, shared


def _carried_spans(trie: Trie, start: int, end: int, carried: Integers) -> Iterator[Span]:
    """Yields spans over the carried path: the pack's first tokens see all of it, later ones less and less."""
    limits = np.minimum(trie.ends[carried], end) - start
    first = 0
    while first < len(carried):
        after = first + int(np.searchsorted(-limits[first:], -limits[first], side="right"))
        yield Span((0, int(limits[first])), (first, after), "full")
        first = after


def _chain_end(trie: Trie, node: int, stop: int) -> int:
    """Returns the end of the chain that starts at `node` and contains no branch before `stop`."""
    ends = np.minimum(trie.ends[node:stop], stop)
    branched = ends != stop
    return node + (int(branched.argmax()) if branched.any() else stop - node)


def _own_span(trie: Trie, start: int, first: int, stop: int, offset: int) -> list[Span]:
    """Returns the span of neighboring small subtrees over themselves; none if the range is empty."""
    if first == stop:
        return []
    queries, keys = (first - start, stop - start), (first + offset, stop + offset)
    nodes = np.arange(first, stop)
    if (trie.parents[first + 1 : stop] == nodes[:-1]).all():
        return [Span(queries, keys, "causal")]
    below = (nodes[:, None] >= nodes) & (nodes[:, None] < trie.ends[first:stop])
    return [Span(queries, keys, "tree", below)]
