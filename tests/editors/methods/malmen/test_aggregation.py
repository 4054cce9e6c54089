"""MALMEN's ridge regression and its network, compared with dense linear algebra."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.edited import Dense, LowRank
from sequela.editors.methods.malmen.aggregation import ROWS_AT_ONCE, AggregatingNetwork, ridge
from sequela.editors.shared.gradient_factors import GradientFactors
from sequela.editors.shared.hypernetwork import ScaledLowRank


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 40),
    n_in=st.integers(2, 24),
    n_out=st.integers(1, 24),
    exponent=st.floats(-2, 3),
    seed=st.integers(0, 99),
)
def test_the_change_is_the_papers(n: int, n_in: int, n_out: int, exponent: float, seed: int) -> None:
    """`D Kᵀ (K Kᵀ + e^lambda I)⁻¹`, regardless of the side of the solve and the form of the change."""
    keys, target_values = random(n, n_in, seed=seed), random(n, n_out, seed=seed + 1)
    weight = torch.tensor(10.0**exponent, dtype=torch.float64)
    K, D = keys.double().T, target_values.double().T
    dense = D @ K.T @ torch.linalg.inv(K @ K.T + weight * torch.eye(n_in, dtype=torch.float64))
    actual = ridge(keys, target_values, weight)
    assert float((actual.to_dense() - dense).norm()) < 1e-5 * float(dense.norm())
    kept = actual.b.numel() + actual.a.numel() if isinstance(actual, LowRank) else actual.values.numel()
    assert kept == min(n * (n_in + n_out), n_in * n_out)


@pytest.mark.parametrize("n", [3, 9, 30], ids=["low rank", "between", "more tokens than features"])
def test_gradients_through_it_are_the_papers(n: int) -> None:
    """dL/dD = G M⁻¹ K and dL/dlambda = -e^lambda tr(M⁻¹ Gᵀ Delta); G = dL/dDelta, M = K Kᵀ + e^lambda I."""
    n_in, n_out = 12, 16
    keys = random(n, n_in, seed=0)
    target_values = random(n, n_out, seed=1).requires_grad_()
    log_weight = torch.tensor(0.3, requires_grad=True)
    by_change = random(n_out, n_in, seed=2).double()  # dL/dDelta of some loss
    actual = ridge(keys, target_values, log_weight.exp())
    (actual.to_dense() * by_change).sum().backward()
    K, weight = keys.double().T, log_weight.detach().double().exp()
    M = K @ K.T + weight * torch.eye(n_in, dtype=torch.float64)
    by_target = by_change @ torch.linalg.inv(M) @ K
    by_log_weight = -weight * torch.trace(torch.linalg.inv(M) @ by_change.T @ actual.to_dense().detach())
    assert target_values.grad is not None
    assert log_weight.grad is not None
    torch.testing.assert_close(target_values.grad.double().T, by_target, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(log_weight.grad.double(), by_log_weight, rtol=1e-4, atol=1e-6)


def tokens(n: int) -> GradientFactors:
    gradients = random(n, 6, seed=4)
    gradients[::3] = 0
    return GradientFactors(random(n, 8, seed=3), gradients)


def test_before_training_it_goes_down_the_gradient() -> None:
    network = AggregatingNetwork({"a": (6, 8)}, rank=4, normalized=False, edit_lr=0.1)
    given_ = tokens(10)
    expected = -0.1 * given_.inputs.square().sum(-1, keepdim=True) * given_.gradients
    torch.testing.assert_close(network.differences("a", given_), expected)


def test_tokens_are_normalized_and_blocks_have_residuals() -> None:
    """Recomputes the differences from the network's tensors, for the second of two layers of one shape."""
    network = AggregatingNetwork({"a": (6, 8), "b": (6, 8)}, rank=4, edit_lr=0.1)
    with torch.no_grad():
        for number, parameter in enumerate(network.parameters()):
            parameter += 0.3 * random(*parameter.shape, seed=number)
    seen = [tokens(10), GradientFactors(random(7, 8, seed=5), random(7, 6, seed=6))]
    for one in seen:
        network.update_statistics({"a": tokens(4), "b": one})
    rows = [torch.cat([one.inputs, one.gradients], -1)[one.gradients.any(-1)] for one in seen]
    both = torch.cat(rows).double()
    given_ = tokens(10)
    x = torch.cat([given_.inputs, given_.gradients], -1).double()
    x = (x - both.mean(0)) / both.std(0)
    for block in network.networks["6x8"].layers:
        assert isinstance(block, ScaledLowRank)
        u, v, bias = (part.double() for part in (block.u, block.v, block.bias))
        x = x + block.scale[1] * torch.relu(x @ v.T @ u.T + bias) + block.shift[1]
    pseudo_keys, pseudo_gradients = x[:, :8], x[:, 8:]
    expected = -network.edit_lr[1] * (given_.inputs * pseudo_keys).sum(-1, keepdim=True) * pseudo_gradients
    expected[::3] = 0
    torch.testing.assert_close(network.differences("b", given_).double(), expected, rtol=1e-4, atol=1e-5)


def test_the_whole_network_learns_from_the_first_step() -> None:
    """Initial values are 0, where a relu would block all gradients."""
    network = AggregatingNetwork({"a": (6, 8)}, rank=4)
    network.update_statistics({"a": tokens(10)})
    change = network({"a": tokens(10)})["a"]
    (change.to_dense() * random(6, 8, seed=9)).sum().backward()
    for block in network.networks["6x8"].layers:
        assert float(block.u.grad.norm()) > 0
        assert float(block.bias.grad.norm()) > 0


def test_many_tokens_are_processed_in_parts() -> None:
    network = AggregatingNetwork({"a": (6, 8)}, rank=4, edit_lr=0.1)
    network.update_statistics({"a": tokens(50)})
    many = tokens(2 * ROWS_AT_ONCE + 5)
    actual = network.differences("a", many)
    one_by_one = [
        network.differences("a", GradientFactors(many.inputs[at : at + 1], many.gradients[at : at + 1]))
        for at in (0, 1, ROWS_AT_ONCE, len(actual) - 1)
    ]
    torch.testing.assert_close(torch.cat(one_by_one), actual[[0, 1, ROWS_AT_ONCE, -1]])
    actual.square().sum().backward()
    in_parts = [parameter.grad.clone() for parameter in network.networks.parameters()]
    network.zero_grad()
    whole = network._differences("a", many)
    whole.square().sum().backward()
    for parameter, expected in zip(network.networks.parameters(), in_parts, strict=True):
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-3, atol=1e-6)


def test_a_wide_batch_has_a_dense_change() -> None:
    assert isinstance(ridge(tokens(30).inputs, tokens(30).gradients, torch.tensor(1.0)), Dense)
