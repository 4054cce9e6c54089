"""The solves, compared with dense linear algebra in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.editors.shared.solve import rank_one, ridge_adjustment, same_question


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


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(3, 30),
    width=st.integers(1, 6),
    batches=st.lists(st.integers(1, 4), min_size=1, max_size=6),
    exponent=st.floats(-1, 3),
    seed=st.integers(0, 999),
)
def test_editing_one_by_one_with_memory_equals_editing_at_once(
    size: int, width: int, batches: list[int], exponent: float, seed: int
) -> None:
    """For given keys and values, "The Labyrinth and the Thread" (2026, arXiv 2605.26670)."""
    C, n, weight = key_covariance(size, seed), sum(batches), 10.0**exponent
    keys, values = random(size, n, seed=seed + 1), random(width, n, seed=seed + 2)
    mapped, before = torch.linalg.solve(C, keys), random(width, size, seed=seed + 3)
    solved = ridge_adjustment(mapped, keys, weight)
    at_once = before + (values - before @ keys) @ solved.keys.T
    weights, end = before, 0
    for count in batches:
        start, end = end, end + count
        own = ridge_adjustment(mapped[:, :end], keys[:, :end], weight, count).keys
        weights = weights + (values[:, start:end] - weights @ keys[:, start:end]) @ own.T
    # Rounding grows with the condition number of the solve.
    assert relative(weights, at_once) < 1e-12 * max(1.0, solved.condition / 1e3)


@settings(max_examples=40, deadline=None)
@given(size=st.integers(3, 30), others=st.integers(0, 4), times=st.integers(1, 6), seed=st.integers(0, 99))
def test_a_question_that_is_edited_again_is_written_as_fully_as_at_first(
    size: int, others: int, times: int, seed: int
) -> None:
    C, earlier, key = (
        key_covariance(size, seed),
        random(size, others, seed=seed + 1),
        random(size, seed=seed + 2),
    )
    keys = torch.cat([earlier, key[:, None].expand(size, times)], dim=1)
    for weight in (1e-6, 5.0):
        first = torch.cat([earlier, key[:, None]], dim=1)
        expected = ridge_adjustment(torch.linalg.solve(C, first), first, weight, 1).keys.T @ key
        share = ridge_adjustment(torch.linalg.solve(C, keys), keys, weight, 1).keys.T @ key
        torch.testing.assert_close(share, expected)
    if size > others:
        assert float(ridge_adjustment(torch.linalg.solve(C, keys), keys, 1e-9, 1).keys.T @ key) > 0.99


def test_equal_keys_in_one_batch_share_their_residuals_without_a_weight() -> None:
    C, key = key_covariance(20, 1), random(20, 1, seed=2)
    keys, residuals = torch.cat([key, key, random(20, 1, seed=3)], dim=1), random(5, 3, seed=4)
    change = residuals @ ridge_adjustment(torch.linalg.solve(C, keys), keys, 0.0).keys.T
    assert relative(change @ key[:, 0], residuals[:, :2].mean(dim=1)) < 1e-6
    assert relative(change @ keys[:, 2], residuals[:, 2]) < 1e-6


def test_a_system_that_is_not_finite_gives_a_change_that_is_not_finite() -> None:
    keys = random(8, 2, seed=0)
    keys[0, 0] = float("nan")
    assert not torch.isfinite(ridge_adjustment(keys, keys, 1.0).keys).any()


def test_the_same_question_is_recognized_up_to_the_rounding_of_bfloat16() -> None:
    keys = random(4, 200, seed=0)
    again = keys[1:2].bfloat16().double()
    assert same_question(keys, again).tolist() == [False, True, False, False]
    assert not same_question(keys, torch.zeros_like(again)).any()
    assert same_question(keys[:0], again).tolist() == []
