"""Attention over joined spans equals attention over all their keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from sequela.inference.torch.attention import base, wide
from sequela.inference.torch.attention.base import (
    LayerCall,
    ScoreScaling,
    additive,
    attend_span,
    attention_replaced,
    join_span,
    takes_attention,
)
from sequela.models import LanguageModel
from support.tiny import tiny_language_model

SIZE = 16
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
SCALINGS = st.builds(ScoreScaling, st.floats(0.05, 2.0), st.one_of(st.none(), st.floats(0.5, 20.0)))


def random_states(seed: int, rows: int, groups: int, queries: int, keys: int) -> tuple[torch.Tensor, ...]:
    """Returns queries, keys and values with two key heads, each shared by `groups` query heads."""
    source = torch.Generator().manual_seed(seed)
    shapes = ((rows, 2 * groups, queries, SIZE), (rows, 2, keys, SIZE), (rows, 2, keys, SIZE))
    return tuple(torch.randn(shape, generator=source) for shape in shapes)


def plain_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    score_scaling: ScoreScaling,
    visible: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Computes attention by its definition, in float64; `visible` is `[queries, keys]`."""
    groups = query.shape[1] // key.shape[1]
    key, value = (states.double().repeat_interleave(groups, 1) for states in (key, value))
    scores = query.double() @ key.transpose(2, 3) * score_scaling.scaling
    if score_scaling.cap is not None:
        scores = score_scaling.cap * torch.tanh(scores / score_scaling.cap)
    scores = scores.masked_fill(~visible, -torch.inf)
    return (scores.softmax(-1) @ value).float(), scores.logsumexp(-1).float()


@contextmanager
def wide_from(scores: int | None) -> Iterator[None]:
    """Applies `WideKeys` to any number of queries and keys, `scores` scores at a time; None: as usual."""
    with pytest.MonkeyPatch.context() as patch:
        if scores is not None:
            patch.setattr(wide, "WIDE_QUERIES", 1)
            patch.setattr(wide, "WIDE_KEYS", 1)
            patch.setattr(wide, "WIDE_SCORES", scores)
        yield


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 2),
    groups=st.integers(1, 3),
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    queries=st.integers(1, 40),
    score_scaling=SCALINGS,
    density=st.one_of(st.just(1.0), st.floats(0.0, 1.0)),
    wide=st.one_of(st.none(), st.integers(1, 200)),
)
def test_joined_spans_are_attention_over_all_their_keys(
    seed: int,
    rows: int,
    groups: int,
    lengths: list[int],
    queries: int,
    score_scaling: ScoreScaling,
    density: float,
    wide: int | None,
) -> None:
    query, key, value = random_states(seed, rows, groups, queries, sum(lengths))
    visible = torch.rand(queries, sum(lengths), generator=torch.Generator().manual_seed(seed)) < density
    visible[:, seed % sum(lengths)] = True  # every query sees a key of some span
    found: tuple[torch.Tensor, torch.Tensor] | None = None
    start = 0
    for length in lengths:
        at = slice(start, start + length)
        mask = None if visible[:, at].all() else additive(visible[:, at], query.dtype)
        with wide_from(wide):
            span = attend_span(query, key[:, :, at], value[:, :, at], score_scaling, mask)
        if found is None:
            found = span
        else:
            join_span(*found, *span)
        start += length
    assert found is not None
    for ours, theirs in zip(found, plain_attention(query, key, value, score_scaling, visible), strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 80), SCALINGS)
def test_a_causal_span_sees_up_to_itself(
    seed: int, groups: int, length: int, score_scaling: ScoreScaling
) -> None:
    states = random_states(seed, 1, groups, length, length)
    expected = plain_attention(*states, score_scaling, torch.ones(length, length).tril().bool())
    for ours, theirs in zip(attend_span(*states, score_scaling, causal=True), expected, strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("cap", [None, 5.0])
def test_the_number_of_queries_at_a_time_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, masked: bool, cap: float | None
) -> None:
    monkeypatch.setattr(base, "QUERY_ROWS", 3)
    states = random_states(0, 1, 2, 11, 11)
    visible = torch.ones(11, 11).tril().bool()
    score_scaling = ScoreScaling(0.3, cap)
    span = (
        attend_span(*states, score_scaling, additive(visible, torch.float32))
        if masked
        else attend_span(*states, score_scaling, causal=True)
    )
    for ours, theirs in zip(span, plain_attention(*states, score_scaling, visible), strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("cap", [None, 5.0])
def test_a_span_that_is_completely_masked_changes_nothing(dtype: torch.dtype, cap: float | None) -> None:
    query, key, value = (states.to(dtype) for states in random_states(1, 1, 2, 5, 9))
    score_scaling = ScoreScaling(SIZE**-0.5, cap)
    values, denominators = attend_span(query, key[:, :, :4], value[:, :, :4], score_scaling)
    before = values.clone(), denominators.clone()
    hidden = additive(torch.zeros(5, 5, dtype=torch.bool), dtype)
    more, more_denominators = attend_span(query, key[:, :, 4:], value[:, :, 4:], score_scaling, hidden)
    assert torch.isfinite(more).all()
    join_span(values, denominators, more, more_denominators)
    assert torch.equal(values, before[0])
    assert torch.equal(denominators, before[1])
    # In the other order, a span with visible keys replaces one without.
    join_span(more, more_denominators, *before)
    torch.testing.assert_close(more, before[0])
    torch.testing.assert_close(more_denominators, before[1])


@pytest.mark.parametrize("cap", [None, 5.0])
def test_denominators_are_float32_whatever_the_weights_are(cap: float | None) -> None:
    query, key, value = (states.bfloat16() for states in random_states(2, 1, 2, 7, 7))
    values, denominators = attend_span(query, key, value, ScoreScaling(0.25, cap), causal=True)
    assert values.dtype == torch.bfloat16
    assert denominators.dtype == torch.float32
    visible = torch.ones(7, 7).tril().bool()
    expected = plain_attention(query, key, value, ScoreScaling(0.25, cap), visible)
    torch.testing.assert_close(values.float(), expected[0], rtol=2e-2, atol=2e-2)
    torch.testing.assert_close(denominators, expected[1], rtol=2e-2, atol=2e-2)


def test_layers_without_a_scaling_scale_by_the_size_of_a_head() -> None:
    query = torch.zeros(1, 2, 3, 64)
    assert ScoreScaling.of(query, {}) == ScoreScaling(0.125)
    assert ScoreScaling.of(query, {"scaling": None}) == ScoreScaling(0.125)
    assert ScoreScaling.of(query, {"scaling": 0.5, "softcap": 30.0}) == ScoreScaling(0.5, 30.0)


def test_attention_can_be_replaced_in_every_family_but_gptj(any_family: LanguageModel) -> None:
    assert takes_attention(any_family) == (any_family.family.name != "gptj")


def test_every_layer_calls_the_replacement_and_afterwards_the_model_is_as_before() -> None:
    model = tiny_language_model("llama")
    ids = torch.tensor([[5, 6, 7]])
    before, functions = model.module(ids).logits, set(ALL_ATTENTION_FUNCTIONS.keys())
    layers = []

    def zeros(call: LayerCall) -> torch.Tensor:
        layers.append(call.layer)
        return torch.zeros_like(call.query)

    with attention_replaced(model, zeros):
        inside = model.module(ids).logits
    with pytest.raises(ZeroDivisionError), attention_replaced(model, zeros):
        _ = 1 / 0
    assert layers == [0, 1, 2, 3]
    assert not torch.allclose(inside, before)
    assert torch.equal(model.module(ids).logits, before)
    assert set(ALL_ATTENTION_FUNCTIONS.keys()) == functions
