"""Rows of tokens that branch a lot, for property tests of everything that lives on a trie."""

from __future__ import annotations

from hypothesis import strategies as st

from sequela.inference.torch.trie import Trie

Row = tuple[int, ...]


def rows(longest: int = 10, most: int = 16) -> st.SearchStrategy[list[Row]]:
    """Rows over three tokens: many begin alike, some are equal, some are prefixes of others."""
    row = st.lists(st.integers(3, 5), min_size=1, max_size=longest).map(tuple)
    return st.lists(row, min_size=1, max_size=most)


def contexts_of(trie: Trie) -> list[Row]:
    """What each node stands for: all tokens up to it. Read from parents alone."""
    contexts: list[Row] = []
    for token, parent in zip(trie.ids.tolist(), trie.parents.tolist(), strict=True):
        contexts.append(((*contexts[parent], token)) if parent >= 0 else (token,))
    return contexts


def prefixes_of(given: list[Row]) -> set[Row]:
    """Every different token in context of some rows."""
    return {row[:end] for row in given for end in range(1, len(row) + 1)}
