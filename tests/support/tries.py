"""Rows of tokens that branch a lot, for property tests of tries."""

from __future__ import annotations

from hypothesis import strategies as st

from sequela.inference.torch.trie import Trie

Row = tuple[int, ...]


def rows(longest: int = 10, most: int = 16) -> st.SearchStrategy[list[Row]]:
    """Draws rows over three tokens: many share prefixes, some are equal, some are prefixes of others."""
    row = st.lists(st.integers(3, 5), min_size=1, max_size=longest).map(tuple)
    return st.lists(row, min_size=1, max_size=most)


def contexts_of(trie: Trie) -> list[Row]:
    """Returns the context of each node, all tokens up to it, derived only from parents."""
    contexts: list[Row] = []
    for token, parent in zip(trie.ids.tolist(), trie.parents.tolist(), strict=True):
        contexts.append(((*contexts[parent], token)) if parent >= 0 else (token,))
    return contexts


def prefixes_of(given: list[Row]) -> set[Row]:
    """Returns every distinct token in context of some rows."""
    return {row[:end] for row in given for end in range(1, len(row) + 1)}
