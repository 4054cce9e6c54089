"""`WideKeys` computes attention, with keys that are packed for reuse and with keys used once."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.inference.torch.attention import wide
from sequela.inference.torch.attention.wide import WideKeys, is_wide, multiplies_wide

SIZE = 16
TOLERANCE = {torch.float32: {"rtol": 1e-5, "atol": 1e-5}, torch.bfloat16: {"rtol": 2e-2, "atol": 2e-2}}
needs_packing = pytest.mark.skipif(
    not multiplies_wide(torch.empty(0)), reason="this processor's products don't go through oneDNN"
)
DTYPES = [dtype for dtype in TOLERANCE if multiplies_wide(torch.empty(0, dtype=dtype))]


@needs_packing
@settings(max_examples=60, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES or [torch.float32]),
    seed=st.integers(0, 10**6),
    key_heads=st.integers(1, 3),
    groups=st.integers(1, 3),
    n_queries=st.integers(1, 60),
    n_keys=st.integers(1, 60),
    reused=st.booleans(),
    at_once=st.integers(1, 200),
)
def test_it_computes_attention(
    dtype: torch.dtype,
    seed: int,
    key_heads: int,
    groups: int,
    n_queries: int,
    n_keys: int,
    reused: bool,
    at_once: int,
) -> None:
    source = torch.Generator().manual_seed(seed)
    query = torch.randn(1, n_queries, key_heads * groups, SIZE, generator=source).to(dtype).transpose(1, 2)
    key, value = torch.randn(2, 1, key_heads, n_keys, SIZE, generator=source).to(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wide, "WIDE_QUERIES", 1)
        patch.setattr(wide, "WIDE_SCORES", at_once)
        attended, denominators = WideKeys(key, value, 0.3, reused).attend(query)
    repeated = key.double().repeat_interleave(groups, 1)
    scores = 0.3 * query.double() @ repeated.mT
    expected = scores.softmax(-1) @ value.double().repeat_interleave(groups, 1)
    assert attended.dtype == dtype
    torch.testing.assert_close(attended.double(), expected, **TOLERANCE[dtype])
    torch.testing.assert_close(denominators, scores.logsumexp(-1).float(), rtol=1e-4, atol=1e-4)


@needs_packing
def test_fewer_queries_suffice_for_keys_that_are_packed_already() -> None:
    key = torch.empty(1, 2, wide.WIDE_KEYS, SIZE)
    for n_queries, once, reused in (
        (23, False, False),
        (24, False, True),
        (63, False, True),
        (64, True, True),
    ):
        query = torch.empty(1, 4, n_queries, SIZE)  # two heads share a key head
        assert is_wide(query, key) == once
        assert is_wide(query, key, reused=True) == reused
    assert not is_wide(query, key[:, :, 1:], reused=True)
    assert not is_wide(query.expand(2, -1, -1, -1), key)
