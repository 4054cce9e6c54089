"""The solves, compared with dense linear algebra in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.editors.shared.solve import rank_one, ridge_adjustment


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def key_covariance(size: int, seed: int) -> torch.Tensor:
    """Returns a positive definite matrix with very different eigenvalues, as of keys."""
    samples = random(6 * size, size, seed=seed) * torch.logspace(0, -1.5, size, dtype=torch.float64)
    return samples.T @ samples / len(samples)


def relative(actual: torch.Tensor, expected: torch.Tensor) -> float:
    return float((actual - expected).norm() / expected.norm())


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(2, 40),
    n=st.integers(1, 12),
    earlier=st.integers(0, 6),
    exponent=st.floats(-3, 5),
    seed=st.integers(0, 99),
)
def test_with_the_inverse_it_is_memit(size: int, n: int, earlier: int, exponent: float, seed: int) -> None:
    C, keys, weight = key_covariance(size, seed), random(size, earlier + n, seed=seed + 1), 10.0**exponent
    dense = torch.linalg.solve(weight * C + keys @ keys.T, keys[:, earlier:])
    actual = ridge_adjustment(torch.linalg.solve(C, keys), keys, weight, n)
    assert relative(actual.keys, dense) < 1e-8


@settings(max_examples=40, deadline=None)
@given(size=st.integers(2, 40), n=st.integers(1, 12), rank=st.integers(1, 39), seed=st.integers(0, 99))
def test_with_a_projector_it_is_alphaedit(size: int, n: int, rank: int, seed: int) -> None:
    basis, _ = torch.linalg.qr(random(size, size, seed=seed))
    P = basis[:, :rank] @ basis[:, :rank].T
    keys = random(size, n, seed=seed + 1)
    dense = torch.linalg.solve(P @ keys @ keys.T + 2.0 * torch.eye(size, dtype=torch.float64), P @ keys)
    assert relative(ridge_adjustment(P @ keys, keys, 2.0).keys, dense) < 1e-8


def test_without_a_weight_the_residuals_are_matched_exactly() -> None:
    """ROME's constraint for a batch."""
    C, keys, residuals = key_covariance(30, 0), random(30, 4, seed=1), random(7, 4, seed=2)
    change = residuals @ ridge_adjustment(torch.linalg.solve(C, keys), keys, 0.0).keys.T
    assert relative(change @ keys, residuals) < 1e-8


def test_edits_with_orthogonal_keys_are_the_sum_of_single_ones() -> None:
    """`Zᵀ G Z` is diagonal, so that the batch's solve separates into one per edit."""
    C, residuals = key_covariance(30, 5), random(7, 4, seed=6)
    root = torch.linalg.cholesky(C)
    orthogonal, _ = torch.linalg.qr(random(30, 4, seed=7))
    keys = root @ (orthogonal * torch.tensor([1.0, 3.0, 0.2, 7.0], dtype=torch.float64))
    whitened = torch.linalg.solve(C, keys)
    together = residuals @ ridge_adjustment(whitened, keys, 2.5).keys.T
    alone = [
        residuals[:, n : n + 1] @ ridge_adjustment(whitened[:, n : n + 1], keys[:, n : n + 1], 2.5).keys.T
        for n in range(4)
    ]
    assert relative(torch.stack(alone).sum(0), together) < 1e-10


def test_the_condition_is_that_of_the_system() -> None:
    C, keys = key_covariance(20, 3), random(20, 5, seed=4)
    whitened = torch.linalg.solve(C, keys)
    inner = 7.0 * torch.eye(5, dtype=torch.float64) + keys.T @ whitened
    actual = ridge_adjustment(whitened, keys, 7.0).condition
    assert actual == pytest.approx(float(torch.linalg.cond(inner)), rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(d_ff=st.integers(2, 40), d=st.integers(1, 20), seed=st.integers(0, 999))
def test_the_rank_one_update_adds_the_residual_for_its_key(d_ff: int, d: int, seed: int) -> None:
    key, residual = random(d_ff, seed=seed), random(d, seed=seed + 1)
    update = rank_one(key + 0.1 * random(d_ff, seed=seed + 2), key, residual)
    assert update.rank == 1
    assert relative(update.to_dense() @ key, residual) < 1e-5


def test_the_norm_of_the_direction_does_not_matter() -> None:
    direction, key, residual = (random(8, seed=seed) for seed in range(3))
    one, other = rank_one(direction, key, residual), rank_one(1e-4 * direction, key, residual)
    assert relative(one.to_dense(), other.to_dense()) < 1e-6


def test_the_rank_one_update_preserves_orthogonal_keys() -> None:
    direction, key, residual = (random(8, seed=seed) for seed in range(3))
    other = random(8, seed=3)
    other -= direction * (other @ direction) / (direction @ direction)
    assert float((rank_one(direction, key, residual).to_dense() @ other).norm()) < 1e-5
