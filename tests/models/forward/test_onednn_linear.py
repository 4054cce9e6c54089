"""Linear layers through oneDNN: their results, their gradients, and the layers that are not replaced."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sequela.models.forward.onednn_linear import onednn_linears, uses_onednn
from support.tiny import FAMILY_NAMES, tiny_language_model

ONEDNN = uses_onednn(torch.device("cpu"), torch.float32)


def linear(n_in: int, n_out: int, bias: bool) -> nn.Linear:
    return nn.Linear(n_in, n_out, bias=bias).requires_grad_(False)


@given(
    shape=st.sampled_from([(1,), (3,), (2, 5), (1, 4, 3)]),
    n_in=st.integers(1, 40),
    n_out=st.integers(1, 40),
    bias=st.booleans(),
)
def test_product_and_gradient_are_those_of_the_layer(
    shape: tuple[int, ...], n_in: int, n_out: int, bias: bool
) -> None:
    layer = linear(n_in, n_out, bias)
    x = torch.randn(*shape, n_in, requires_grad=True)
    upstream = torch.randn(*shape, n_out)
    wanted = layer(x)
    (wanted_gradient,) = torch.autograd.grad((wanted * upstream).sum(), x)
    with onednn_linears([layer]):
        found = layer(x)
    (gradient,) = torch.autograd.grad((found * upstream).sum(), x)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(gradient, wanted_gradient, rtol=1e-4, atol=1e-5)


def test_it_uses_the_current_weight() -> None:
    layer = linear(3, 2, False)
    x = torch.ones(1, 3)
    with onednn_linears([layer]):
        before = layer(x)
        layer.weight.data += 1
        torch.testing.assert_close(layer(x), before + 3)


def test_an_empty_input_gives_an_empty_result() -> None:
    layer = linear(3, 2, True)
    with onednn_linears([layer]):
        assert layer(torch.empty(0, 3)).shape == (0, 2)


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_trained_weights_get_their_gradient(name: str) -> None:
    layer = linear(3, 2, True)
    layer.get_parameter(name).requires_grad_(True)
    with onednn_linears([layer]):
        layer(torch.ones(1, 3)).sum().backward()
    assert layer.get_parameter(name).grad is not None


@pytest.mark.skipif(not ONEDNN, reason="oneDNN has no advantage here")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_only_the_dtype_with_an_advantage_is_replaced(dtype: torch.dtype) -> None:
    layer = linear(3, 2, True).to(dtype)
    with onednn_linears([layer]):
        assert ("forward" in vars(layer)) == (dtype == torch.float32)
    assert "forward" not in vars(layer)


@pytest.mark.parametrize("name", FAMILY_NAMES)
def test_a_model_gives_the_same_logits_with_them(name: str) -> None:
    model = tiny_language_model(name)
    ids = torch.tensor([[5, 3, 8, 1, 9, 2]])
    with torch.no_grad():
        wanted = model.module(ids).logits
        with onednn_linears([model.module]):
            found = model.module(ids).logits
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)
    assert not any("forward" in vars(module) for module in model.module.modules())
