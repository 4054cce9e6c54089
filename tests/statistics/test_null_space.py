"""The projector on directions that keys hardly use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sequela.core.errors import SequelaError
from sequela.statistics import NullSpace
from support.statistics import tiny_statistics
from support.tiny import KEY_WIDTH, tiny_language_model


def with_eigenvalues(values: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns a key covariance with given eigenvalues, and its eigenvectors."""
    source = torch.Generator().manual_seed(seed)
    basis, _ = torch.linalg.qr(torch.randn(len(values), len(values), generator=source, dtype=torch.float64))
    return basis @ torch.diag(values) @ basis.T, basis


@settings(max_examples=30, deadline=None)
@given(size=st.integers(2, 30), below=st.integers(1, 30), seed=st.integers(0, 99))
def test_it_keeps_the_directions_below_the_threshold(size: int, below: int, seed: int) -> None:
    below = min(below, size)
    values = torch.full((size,), 1.0, dtype=torch.float64)
    values[:below] = 1e-3
    C, basis = with_eigenvalues(values, seed)
    null_space = NullSpace(C, 0.02)
    keys = torch.randn(size, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert null_space.rank == below
    wanted = basis[:, :below] @ basis[:, :below].T @ keys
    torch.testing.assert_close(null_space.project(keys), wanted, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(null_space.project(null_space.project(keys)), wanted, rtol=1e-9, atol=1e-9)


def test_a_change_in_the_null_space_hardly_moves_what_the_model_says_of_other_keys() -> None:
    values = torch.tensor([1e-6] * 10 + [1.0] * 10, dtype=torch.float64)
    C, _ = with_eigenvalues(values, 0)
    key = torch.ones(20, 1, dtype=torch.float64)
    free, held = key @ key.T, key @ NullSpace(C, 0.02).project(key).T
    assert float((held @ C @ held.T).trace()) < 1e-4 * float((free @ C @ free.T).trace())


def test_a_threshold_below_all_eigenvalues_is_refused() -> None:
    C, _ = with_eigenvalues(torch.linspace(1, 2, 9, dtype=torch.float64), 1)
    with pytest.raises(SequelaError, match="no eigenvalue below") as caught:
        NullSpace(C, 0.02)
    assert "half of the eigenvalues are below 1.5" in str(caught.value)


def test_statistics_find_it_once(tmp_path: Path) -> None:
    statistics = tiny_statistics(tiny_language_model("llama"), tmp_path)
    middle = float(torch.linalg.eigvalsh(statistics.key_covariance(1).matrix.double()).median()) * 1.0001
    null_space = statistics.null_space(1, middle)
    assert null_space.rank == KEY_WIDTH // 2
    assert statistics.null_space(1, middle) is null_space
    assert statistics.null_space(1, 2 * middle).rank >= null_space.rank
    assert statistics.whitening(1) is statistics.whitening(1)
