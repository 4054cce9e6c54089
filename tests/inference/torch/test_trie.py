"""A trie contains every distinct token in context once, in depth-first order."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.inference.torch.trie import Trie
from support.tries import Row, contexts_of, prefixes_of, rows


@settings(deadline=None)
@given(rows())
def test_every_context_occurs_once_and_in_depth_first_order(given_rows: list[Row]) -> None:
    trie = Trie.of(given_rows)
    # Sorted, a context comes before its continuations, which is depth-first order.
    assert contexts_of(trie) == sorted(prefixes_of(given_rows))
    assert len(trie) == len(prefixes_of(given_rows))


@settings(deadline=None)
@given(rows())
def test_positions_parents_and_paths_agree(given_rows: list[Row]) -> None:
    trie = Trie.of(given_rows)
    contexts = contexts_of(trie)
    for node, context in enumerate(contexts):
        assert trie.positions[node] == len(context) - 1
        assert -1 <= trie.parents[node] < node
        assert (trie.parents[node] == -1) == (len(context) == 1)
        assert [contexts[above] for above in trie.path(node)] == [
            context[: i + 1] for i in range(len(context))
        ]


@settings(deadline=None)
@given(rows())
def test_a_subtree_is_one_range_of_nodes(given_rows: list[Row]) -> None:
    trie = Trie.of(given_rows)
    contexts = contexts_of(trie)
    for node, context in enumerate(contexts):
        below = [other for other, longer in enumerate(contexts) if longer[: len(context)] == context]
        assert below == list(range(node, trie.ends[node]))


@settings(deadline=None)
@given(rows(), st.randoms(use_true_random=False))
def test_leaves_are_in_the_order_of_the_rows(given_rows: list[Row], order: Random) -> None:
    order.shuffle(given_rows)
    trie = Trie.of(given_rows)
    contexts = contexts_of(trie)
    assert [contexts[leaf] for leaf in trie.leaves] == given_rows


@settings(deadline=None)
@given(rows(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing_else(given_rows: list[Row], order: Random) -> None:
    trie = Trie.of(given_rows)
    order.shuffle(given_rows)
    shuffled = Trie.of(given_rows)
    for name in ("ids", "positions", "parents", "ends"):
        assert np.array_equal(getattr(trie, name), getattr(shuffled, name))


@pytest.mark.parametrize(
    ("given_rows", "leaves", "parents"),
    [
        ([(7, 8), (7, 8)], [1, 1], [-1, 0]),
        ([(7, 8, 9), (7,), (7, 8)], [2, 0, 1], [-1, 0, 1]),
        ([(9,), (7, 8), (7, 6)], [3, 2, 1], [-1, 0, 0, -1]),
    ],
    ids=["equal rows", "rows within a row", "branches"],
)
def test_small_tries(given_rows: list[Row], leaves: list[int], parents: list[int]) -> None:
    trie = Trie.of(given_rows)
    assert trie.leaves.tolist() == leaves
    assert trie.parents.tolist() == parents


def test_no_rows_make_an_empty_trie() -> None:
    assert len(Trie.of([])) == 0
