"""The least-squares solves that turn keys and wished residuals into a change of weights.

All of them work in float64 where the device has it; the factors are kept in float32.
"""

from __future__ import annotations

import torch

from sequela.deltas import LowRank
from sequela.ground.errors import SequelaError
from sequela.ground.precision import solve_dtype


class WhitenedSolver:
    """Solves with `A = weight * C`, factored once and used for every edit of a layer.

    Args:
        second_moment: `C = E[k kᵀ]`, `[d_ff, d_ff]`.
        weight: What multiplies it.

    Raises:
        SequelaError: C is not positive definite: it was taken over too few tokens.
    """

    def __init__(self, second_moment: torch.Tensor, weight: float = 1.0) -> None:
        matrix = weight * second_moment.to(solve_dtype(second_moment.device))
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if int(failed):
            raise SequelaError(
                "The key second moment is not positive definite.",
                hint="Take it over more tokens (at least ten for each dimension of the key).",
            )
        self._factor = factor

    def solve(self, keys: torch.Tensor) -> torch.Tensor:
        """`A⁻¹ keys` for keys `[d_ff, n]`."""
        solved: torch.Tensor = torch.cholesky_solve(keys.to(self._factor.dtype), self._factor)
        return solved

    def batch_adjustment(self, keys: torch.Tensor) -> torch.Tensor:
        """`(A + K Kᵀ)⁻¹ K` for keys K `[d_ff, n]` (Meng et al. 2023, eq. 14).

        By the Woodbury identity this is `A⁻¹K (I + Kᵀ A⁻¹ K)⁻¹`, which costs `d_ff² n` and not `d_ff³`.
        """
        keys = keys.to(self._factor.dtype)
        whitened = self.solve(keys)
        inner = torch.eye(keys.shape[1], dtype=keys.dtype, device=keys.device) + keys.T @ whitened
        adjusted: torch.Tensor = torch.linalg.solve(inner, whitened, left=False)
        return adjusted


def rank_one(direction: torch.Tensor, key: torch.Tensor, residual: torch.Tensor) -> LowRank:
    """The update that adds `residual` to the output for `key` (Meng et al. 2022, eq. 2).

    `Delta = residual ⊗ u / (u . key)`.

    Args:
        direction: u, `[d_ff]`; its length doesn't matter.
        key: The key whose output is to change, `[d_ff]`.
        residual: The wished change of the output, `[d]`.
    """
    dtype = solve_dtype(direction.device)
    u = direction.to(dtype) / torch.linalg.norm(direction.to(dtype))
    scale = torch.dot(u, key.to(dtype))
    b = (residual.to(dtype) / scale)[:, None]
    return LowRank(b.float(), u[None, :].float())
