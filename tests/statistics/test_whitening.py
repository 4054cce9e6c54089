"""Solving with a key covariance, compared with dense linear algebra in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.core.errors import BadInputError, SequelaError
from sequela.statistics import Whitening


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=20, deadline=None)
@given(size=st.integers(1, 40), n=st.integers(1, 5), seed=st.integers(0, 99))
def test_solve_is_the_inverse(size: int, n: int, seed: int) -> None:
    samples, keys = random(6 * size, size, seed=seed), random(size, n, seed=seed + 1)
    C = samples.T @ samples / len(samples)
    distance = (C @ Whitening(C).solve(keys) - keys).norm() / keys.norm()
    assert float(distance) < 1e-8


def test_keys_in_float32_are_solved_in_float64() -> None:
    samples, keys = random(200, 30, seed=0).float(), random(30, 2, seed=1).float()
    C = samples.T @ samples / len(samples)
    found = Whitening(C).solve(keys)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, torch.linalg.solve(C.double(), keys.double()), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("matrix", [torch.zeros(4, 4), torch.ones(4, 4), torch.full((4, 4), float("nan"))])
def test_a_matrix_that_is_not_positive_definite_is_an_error(matrix: torch.Tensor) -> None:
    with pytest.raises(SequelaError, match="not positive definite") as caught:
        Whitening(matrix)
    assert "more tokens" in str(caught.value)


def test_too_few_tokens_make_a_singular_matrix() -> None:
    keys = random(10, 16, seed=0)
    with pytest.raises(SequelaError, match="not positive definite"):
        Whitening((keys.T @ keys / 10).float())


@pytest.mark.parametrize("rank", [1, 5, 15])
def test_the_error_has_the_rank(rank: int) -> None:
    keys = random(rank, 16, seed=rank)
    for n_tokens in (rank, None):
        with pytest.raises(BadInputError, match=f"its rank is {rank} of 16") as caught:
            Whitening((keys.T @ keys / rank).float(), n_tokens=n_tokens)
        assert "more text" in (caught.value.hint or "")


def test_fewer_tokens_than_dimensions_are_an_error_even_if_rounding_hides_it() -> None:
    with pytest.raises(BadInputError, match="its rank is 7 of 8"):
        Whitening(torch.eye(8), n_tokens=7)


def test_a_neuron_that_is_never_active_does_not_affect_the_others() -> None:
    keys = random(200, 12, seed=0)
    keys[:, [3, 7]] = 0
    live = [n for n in range(12) if n not in (3, 7)]
    C, asked = keys.T @ keys / 200, random(12, 2, seed=1)
    found = Whitening(C.float()).solve(asked)
    expected = torch.linalg.solve(C[live][:, live], asked[live])
    torch.testing.assert_close(found[live], expected, rtol=1e-4, atol=1e-5)
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_the_scale_of_keys_does_not_matter(scale: float) -> None:
    keys = random(200, 12, seed=0)
    keys[:, :6] *= scale
    C, asked = keys.T @ keys / 200, random(12, 2, seed=1)
    torch.testing.assert_close(Whitening(C).solve(asked), torch.linalg.solve(C, asked), rtol=1e-6, atol=1e-9)
