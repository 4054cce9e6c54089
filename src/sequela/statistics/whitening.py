"""Solving with a key covariance, factored once for all edits of a layer."""

from __future__ import annotations

import torch

from sequela.core.errors import SequelaError
from sequela.core.precision import solve_dtype


class Whitening:
    """A solver of `C⁻¹ k` for keys of one layer, in float64 if the device supports it.

    Args:
        covariance: `C = E[k kᵀ]`, `[d_ff, d_ff]`.
        ridge: A value added to C's diagonal.

    Raises:
        SequelaError: C is not positive definite, because it was computed from too few tokens.
    """

    def __init__(self, covariance: torch.Tensor, ridge: float = 0.0) -> None:
        matrix = covariance.to(solve_dtype(covariance.device), copy=True)
        matrix.diagonal().add_(ridge)
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if int(failed):
            raise SequelaError(
                "The key covariance is not positive definite.",
                hint="Compute it from more tokens (at least ten for each dimension of the key).",
            )
        self._factor = factor

    def solve(self, keys: torch.Tensor) -> torch.Tensor:
        """Returns `C⁻¹ keys` for keys `[d_ff, n]`."""
        solved: torch.Tensor = torch.cholesky_solve(keys.to(self._factor.dtype), self._factor)
        return solved
