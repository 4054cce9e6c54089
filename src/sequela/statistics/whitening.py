"""Solving with a key covariance, factored once for all edits of a layer."""

from __future__ import annotations

import torch

from sequela.core.errors import BadInputError
from sequela.core.precision import solve_dtype

SINGULAR = 1e-7
"""The share of a neuron's variance that must not be explained by others: the rounding of float32."""


class Whitening:
    """A solver of `C⁻¹ k` for keys of one layer, in float64 if the device supports it.

    A neuron that is 0 in the whole text has no variance that could be divided by; it gets the others' mean.

    Args:
        covariance: `C = E[k kᵀ]`, `[d_ff, d_ff]`.
        ridge: A value added to C's diagonal.
        n_tokens: The number of keys that C was computed from, which bounds its rank; None if unknown.

    Raises:
        BadInputError: C is not positive definite, because it was computed from too few tokens. The message
            has its rank.
    """

    def __init__(self, covariance: torch.Tensor, ridge: float = 0.0, n_tokens: int | None = None) -> None:
        matrix = covariance.to(solve_dtype(covariance.device), copy=True)
        size, diagonal = len(matrix), matrix.diagonal()
        dead = diagonal == 0
        diagonal.add_(ridge)
        if ridge == 0 and bool(dead.any()) and not bool(dead.all()):
            diagonal[dead] = diagonal[~dead].mean()
        # Scaled to a unit diagonal, so that neurons of very different activity can be compared.
        self._scale = diagonal.clone().sqrt()[:, None]
        matrix = matrix / self._scale / self._scale.T
        factor, failed = torch.linalg.cholesky_ex(matrix)
        n_live = size - int(dead.sum())
        too_few = ridge == 0 and n_tokens is not None and n_tokens < n_live
        if int(failed) or too_few or not float(factor.diagonal().min()) ** 2 > SINGULAR:
            rank = min(_rank(matrix) - (size - n_live if n_live else 0), n_live)
            rank = rank if n_tokens is None else min(rank, n_tokens)
            raise BadInputError(
                f"The key covariance is not positive definite: its rank is {rank:,} of {size:,}.",
                hint="Compute it from more text: more tokens (--tokens), ten for each dimension of the key.",
            )
        self._factor = factor

    def solve(self, keys: torch.Tensor) -> torch.Tensor:
        """Returns `C⁻¹ keys` for keys `[d_ff, n]`."""
        scaled = keys.to(self._factor.dtype) / self._scale
        solved: torch.Tensor = torch.cholesky_solve(scaled, self._factor)
        return solved / self._scale


def _rank(matrix: torch.Tensor) -> int:
    """Returns the numerical rank of a symmetric matrix with a unit diagonal."""
    if not torch.isfinite(matrix).all():
        return 0
    values = torch.linalg.eigvalsh(matrix)
    return int((values > SINGULAR * len(matrix) ** 0.5 * values.max()).sum())
