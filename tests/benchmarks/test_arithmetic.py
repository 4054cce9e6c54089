"""The arithmetic that the limit is reckoned by, against slower and independent counts."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from sequela.inference import ScoreRequest
from sequela.models import LanguageModel

tokens = st.lists(st.integers(0, 2), min_size=1, max_size=5).map(tuple)
requests = st.lists(st.builds(ScoreRequest, context=tokens, continuation=tokens), max_size=8)


@pytest.fixture(scope="module")
def arithmetic(benchmark_support: Callable[[str], ModuleType]) -> ModuleType:
    """`benchmarks/support/arithmetic.py`."""
    return benchmark_support("arithmetic")


@given(asked=requests)
def test_tokens_are_counted_as_different_prefixes(arithmetic: ModuleType, asked: list[ScoreRequest]) -> None:
    rows = [request.context + request.continuation[:-1] for request in asked]
    prefixes = {row[:end] for row in rows for end in range(1, len(row) + 1)}
    places = {
        row[:end]
        for row, request in zip(rows, asked, strict=True)
        for end in range(len(request.context), len(row) + 1)
    }
    counts = arithmetic.count_tokens(asked)
    assert counts.requested == sum(len(row) for row in rows)
    assert counts.unique == len(prefixes)
    assert counts.context == sum(len(prefix) for prefix in prefixes)
    assert counts.asked == len(places)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_products_are_those_that_torch_computes(
    arithmetic: ModuleType, tiny_model: Callable[..., LanguageModel], family: str
) -> None:
    model = tiny_model(family)
    row = (5, 6, 7, 8, 9, 10, 11)
    operations = arithmetic.flops(model, arithmetic.count_tokens([ScoreRequest(row[:1], (*row[1:], 12))]))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.module(torch.tensor([row]))
    counted = counter.get_flop_counts()["Global"]
    products = sum(counted.get(op, 0) for op in (torch.ops.aten.mm, torch.ops.aten.addmm))
    assert operations["linear"] + operations["head"] == products


def test_attention_is_a_triangle(arithmetic: ModuleType, tiny_model: Callable[..., LanguageModel]) -> None:
    model = tiny_model("llama")
    config = model.module.config
    operations = arithmetic.flops(model, arithmetic.count_tokens([ScoreRequest((1, 2, 3), (4,))]))
    width = config.num_attention_heads * config.head_dim
    assert operations["attention"] == 4 * width * (1 + 2 + 3) * config.num_hidden_layers
