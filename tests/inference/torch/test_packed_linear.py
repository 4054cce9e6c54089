"""Packed linear layers compute the same as linear layers, and leave the model unchanged."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from sequela.inference.torch.packed_linear import fastest_linears, packs_linears
from sequela.models import LanguageModel
from sequela.models.forward.linear_products import direct_linear, packed_linear
from support.tiny import tiny_language_model

CPU = torch.device("cpu")
needs_packing = pytest.mark.skipif(
    not packs_linears(CPU, torch.float32), reason="this processor's linear layers don't go through oneDNN"
)
needs_bfloat16 = pytest.mark.skipif(
    not packs_linears(CPU, torch.bfloat16), reason="oneDNN has no bfloat16 on this processor"
)
TOLERANCE = {torch.float32: {"rtol": 1e-5, "atol": 1e-5}, torch.bfloat16: {"rtol": 2e-2, "atol": 2e-2}}
DTYPES = [torch.float32, pytest.param(torch.bfloat16, marks=needs_bfloat16)]


def linears_of(model: LanguageModel, block: int) -> list[nn.Module]:
    modules = model.family.block(model.module, block).modules()
    return [module for module in modules if type(module) in (nn.Linear, Conv1D)]


@needs_packing
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 70),
    sizes=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    biased=st.booleans(),
    strided=st.booleans(),
    leading=st.booleans(),
)
def test_a_packed_layer_computes_the_layer(
    dtype: torch.dtype,
    seed: int,
    rows: int,
    sizes: tuple[int, int],
    biased: bool,
    strided: bool,
    leading: bool,
) -> None:
    source = torch.Generator().manual_seed(seed)
    n_in, n_out = sizes
    weight = (torch.randn(n_in, n_out, generator=source) / n_in**0.5).to(dtype).T  # Conv1D's layout
    bias = torch.randn(n_out, generator=source).to(dtype) if biased else None
    x = torch.randn(rows, 2 * n_in, generator=source).to(dtype)
    x = x[:, ::2] if strided else x[:, :n_in]
    x = x[None] if leading else x
    expected = functional.linear(x.double(), weight.double(), None if bias is None else bias.double()).to(
        dtype
    )
    torch.testing.assert_close(packed_linear(weight, bias)(x), expected, **TOLERANCE[dtype])
    unbiased = functional.linear(x.double(), weight.double()).to(dtype)
    torch.testing.assert_close(direct_linear(weight)(x), unbiased, **TOLERANCE[dtype])


@needs_packing
def test_a_packed_layer_is_a_copy() -> None:
    weight, x = torch.ones(4, 8), torch.ones(1, 8)
    linear = packed_linear(weight, None)
    weight.zero_()
    assert torch.equal(linear(x), torch.full((1, 4), 8.0))


@needs_packing
def test_with_packed_layers_the_model_gives_the_same_logits(any_family: LanguageModel) -> None:
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    before = any_family.module(ids).logits
    plain = linears_of(any_family, 1)[0].forward
    with fastest_linears(any_family):
        for block in range(any_family.n_layers):
            assert linears_of(any_family, block)
            assert all("forward" in vars(module) for module in linears_of(any_family, block))
        torch.testing.assert_close(any_family.module(ids).logits, before, rtol=1e-4, atol=1e-4)
    assert torch.equal(any_family.module(ids).logits, before)
    assert linears_of(any_family, 1)[0].forward == plain


@needs_packing
def test_packed_copies_are_of_the_weights_in_force_on_entry() -> None:
    model, ids = tiny_language_model("llama"), torch.tensor([[5, 6, 7]])
    with fastest_linears(model):
        before = model.module(ids).logits
    model.mlp_out_weight(2).data.mul_(2.0)
    with fastest_linears(model):
        after = model.module(ids).logits
    assert not torch.allclose(before, after, atol=1e-3)
    torch.testing.assert_close(after, model.module(ids).logits, rtol=1e-4, atol=1e-4)


@needs_packing
def test_blocks_that_are_not_run_are_not_packed() -> None:
    model = tiny_language_model("llama")
    with fastest_linears(model, first=2):
        packed = ["forward" in vars(linears_of(model, block)[0]) for block in range(4)]
    assert packed == [False, False, True, True]


@needs_packing
def test_an_error_inside_leaves_nothing_packed() -> None:
    model = tiny_language_model("gpt2")
    with pytest.raises(ZeroDivisionError), fastest_linears(model):
        _ = 1 / 0
    assert not any("forward" in vars(module) for module in model.module.modules())


def test_other_devices_and_dtypes_are_not_packed() -> None:
    assert not packs_linears(CPU, torch.float16)
    assert not packs_linears(torch.device("cuda"), torch.float32)
