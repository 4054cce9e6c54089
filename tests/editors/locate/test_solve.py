"""The solves against dense linear algebra in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.editors.locate.solve import WhitenedSolver, rank_one
from sequela.ground.errors import SequelaError


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def second_moment(size: int, seed: int) -> torch.Tensor:
    """Positive definite, with directions of very different weight, as keys have them."""
    samples = random(6 * size, size, seed=seed) * torch.logspace(0, -1.5, size, dtype=torch.float64)
    return samples.T @ samples / len(samples)


def relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@settings(max_examples=40, deadline=None)
@given(size=st.integers(2, 40), n=st.integers(1, 12), exponent=st.floats(-3, 5), seed=st.integers(0, 99))
def test_the_batch_adjustment_is_the_dense_solve(size: int, n: int, exponent: float, seed: int) -> None:
    C, K, weight = second_moment(size, seed), random(size, n, seed=seed + 1), 10.0**exponent
    dense = torch.linalg.solve(weight * C + K @ K.T, K)
    assert relative(WhitenedSolver(C, weight).batch_adjustment(K), dense) < 1e-8


@settings(max_examples=20, deadline=None)
@given(size=st.integers(1, 40), n=st.integers(1, 5), seed=st.integers(0, 99))
def test_solve_is_the_inverse(size: int, n: int, seed: int) -> None:
    C, keys = second_moment(size, seed), random(size, n, seed=seed + 1)
    assert relative(C @ WhitenedSolver(C).solve(keys), keys) < 1e-8


def test_keys_in_float32_are_solved_in_float64() -> None:
    C, keys = second_moment(30, 0).float(), random(30, 2, seed=1).float()
    found = WhitenedSolver(C).batch_adjustment(keys)
    assert found.dtype == torch.float64
    dense = torch.linalg.solve(C.double() + keys.double() @ keys.double().T, keys.double())
    assert relative(found, dense) < 1e-8


@pytest.mark.parametrize("matrix", [torch.zeros(4, 4), torch.ones(4, 4), torch.full((4, 4), float("nan"))])
def test_a_matrix_that_is_not_positive_definite_is_refused(matrix: torch.Tensor) -> None:
    with pytest.raises(SequelaError, match="not positive definite") as caught:
        WhitenedSolver(matrix)
    assert "more tokens" in str(caught.value)


def test_too_few_tokens_make_a_singular_matrix() -> None:
    keys = random(10, 16, seed=0)
    with pytest.raises(SequelaError, match="not positive definite"):
        WhitenedSolver((keys.T @ keys / 10).float())


@settings(max_examples=40, deadline=None)
@given(d_ff=st.integers(2, 40), d=st.integers(1, 20), seed=st.integers(0, 999))
def test_the_rank_one_update_adds_the_residual_for_its_key(d_ff: int, d: int, seed: int) -> None:
    key, residual = random(d_ff, seed=seed), random(d, seed=seed + 1)
    update = rank_one(key + 0.1 * random(d_ff, seed=seed + 2), key, residual)
    assert update.rank == 1
    assert relative(update.to_dense() @ key, residual) < 1e-5


def test_the_length_of_the_direction_does_not_matter() -> None:
    direction, key, residual = (random(8, seed=seed) for seed in range(3))
    one, other = rank_one(direction, key, residual), rank_one(1e-4 * direction, key, residual)
    assert relative(one.to_dense(), other.to_dense()) < 1e-6


def test_the_rank_one_update_leaves_orthogonal_keys_alone() -> None:
    direction, key, residual = (random(8, seed=seed) for seed in range(3))
    other = random(8, seed=3)
    other -= direction * (other @ direction) / (direction @ direction)
    assert float((rank_one(direction, key, residual).to_dense() @ other).norm()) < 1e-5
