"""Wherever a trie is cut into packs, every token sees exactly its own context."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sequela.inference.torch import packing
from sequela.inference.torch.packing import Pack, Span, pack_trie
from sequela.inference.torch.trie import Trie
from support.tries import Row, contexts_of, rows


@dataclass(frozen=True)
class Cut:
    """A trie and its packs."""

    trie: Trie
    packs: list[Pack]
    tokens: int


@st.composite
def cuts(draw: st.DrawFn, isolated: bool | None = None) -> Cut:
    """Draws packs and masked pieces of any size, so that small tries contain subtrees that count as large."""
    trie = Trie.of(draw(rows(longest=14)))
    tokens = draw(st.integers(1, 40))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "BLOCK_TOKENS", draw(st.integers(1, 12)))
        patch.setattr(packing, "GROUP_TOKENS", draw(st.integers(1, 8)))
        packs = pack_trie(trie, tokens, draw(st.booleans()) if isolated is None else isolated)
    return Cut(trie, packs, tokens)


def pairs(span: Span) -> NDArray[np.int64]:
    """Returns how often each query of a span sees each key, `[queries, keys]`."""
    shape = span.queries[1] - span.queries[0], span.keys[1] - span.keys[0]
    assert min(shape) > 0
    if span.kind == "full":
        return np.ones(shape, np.int64)
    if span.kind == "causal":
        assert shape[0] == shape[1]
        return np.tri(shape[0], dtype=np.int64)
    assert span.kind == "tree"
    assert span.visible is not None
    assert span.visible.shape == shape
    return span.visible.astype(np.int64)


def keys_of(pack: Pack) -> NDArray[np.int64]:
    """Returns the node of each key."""
    return np.concatenate([pack.carried, np.arange(pack.start, pack.end)])


@settings(max_examples=200, deadline=None)
@given(cuts())
def test_every_token_sees_each_token_of_its_context_once(cut: Cut) -> None:
    contexts = contexts_of(cut.trie)
    for pack in cut.packs:
        seen = np.zeros((len(pack), len(keys_of(pack))), np.int64)
        for span in (*pack.own, *pack.shared):
            seen[slice(*span.queries), slice(*span.keys)] += pairs(span)
        expected = [
            [contexts[query][: len(contexts[key])] == contexts[key] for key in keys_of(pack)]
            for query in range(pack.start, pack.end)
        ]
        assert np.array_equal(seen, np.array(expected, np.int64))


@settings(deadline=None)
@given(cuts())
def test_own_spans_contain_every_query_once_and_every_query_sees_itself_there(cut: Cut) -> None:
    for pack in cut.packs:
        held = [query for span in pack.own for query in range(*span.queries)]
        assert sorted(held) == list(range(len(pack)))
        for span in pack.own:
            assert span.keys == tuple(end + len(pack.carried) for end in span.queries)
        assert all(span.kind == "full" for span in pack.shared)


@settings(deadline=None)
@given(cuts())
def test_every_node_is_in_one_pack_and_no_pack_is_too_large(cut: Cut) -> None:
    packed = [node for pack in cut.packs for node in range(pack.start, pack.end)]
    assert packed == list(range(len(cut.trie)))
    assert all(1 <= len(pack) <= cut.tokens for pack in cut.packs)
    if len(cut.trie) <= cut.tokens:
        assert len(cut.packs) == 1


@settings(deadline=None)
@given(cuts())
def test_a_pack_carries_the_ancestors_of_its_first_token(cut: Cut) -> None:
    for pack in cut.packs:
        assert pack.carried.tolist() == cut.trie.path(pack.start)[:-1].tolist()


@settings(deadline=None)
@given(cuts())
def test_the_kept_keys_are_those_that_the_next_pack_carries(cut: Cut) -> None:
    for pack, after in zip(cut.packs, cut.packs[1:], strict=False):
        assert np.array_equal(keys_of(pack)[pack.keep], after.carried)
        own_nodes = set(after.carried) & set(range(pack.start, pack.end))
        assert pack.keeps_carried_only == (not own_nodes)
        if pack.keeps_carried_only:
            assert pack.keep.tolist() == list(range(len(pack.keep)))
    assert len(cut.packs[-1].keep) == 0


@settings(deadline=None)
@given(cuts(isolated=True))
def test_isolated_tokens_use_only_keys_of_their_own_rows(cut: Cut) -> None:
    """Masked or not, every key of a span must be in every row that contains one of its queries."""
    rows_of = [set[int]() for _ in range(len(cut.trie))]
    for row, leaf in enumerate(cut.trie.leaves):
        for node in cut.trie.path(int(leaf)):
            rows_of[node].add(row)
    for pack in cut.packs:
        for span in (*pack.own, *pack.shared):
            assert span.kind != "tree"
            for query in range(*span.queries):
                for key in range(*span.keys):
                    assert rows_of[pack.start + query] <= rows_of[keys_of(pack)[key]]


def test_cuts_are_where_little_is_carried() -> None:
    """Two texts of 40 tokens in packs of at most 48: cut between them, nothing is carried."""
    trie = Trie.of([tuple(range(100, 140)), tuple(range(200, 240))])
    packs = pack_trie(trie, 48)
    assert [len(pack) for pack in packs] == [40, 40]
    assert len(packs[1].carried) == 0


def test_a_shared_prefix_is_one_dense_piece_for_its_continuations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "BLOCK_TOKENS", 8)
    monkeypatch.setattr(packing, "GROUP_TOKENS", 4)
    stem: Row = tuple(range(100, 120))
    (pack,) = pack_trie(Trie.of([(*stem, 1, 2, 3), (*stem, 4, 5, 6)]), 100)
    assert pack.shared == (Span((20, 26), (0, 20), "full"),)
    assert [(span.queries, span.kind) for span in pack.own] == [
        ((0, 20), "causal"),
        ((20, 23), "causal"),
        ((23, 26), "causal"),
    ]
