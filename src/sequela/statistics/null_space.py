"""The null space of key covariances: directions of key space that a model's own keys hardly use.

Fang et al., "AlphaEdit: Null-Space Constrained Knowledge Editing" (ICLR 2025): a weight change
projected onto it leaves the outputs for other keys nearly unchanged.
"""

from __future__ import annotations

import torch

from sequela.core.errors import SequelaError
from sequela.core.precision import solve_dtype


class NullSpace:
    """The projector `P = U Uᵀ` on the eigenvectors of C below a threshold.

    It stores these or the other eigenvectors V, whichever are fewer, since also `P = I - V Vᵀ`.

    Args:
        covariance: `C = E[k kᵀ]`, `[d_ff, d_ff]`.
        threshold: Eigenvalues below it belong to the null space.

    Raises:
        SequelaError: No eigenvalue is below the threshold, so nothing could be changed.
    """

    def __init__(self, covariance: torch.Tensor, threshold: float) -> None:
        values, vectors = torch.linalg.eigh(covariance.to(solve_dtype(covariance.device)))
        below = values < threshold
        self.rank = int(below.sum())
        self.size = len(values)
        if not self.rank:
            raise SequelaError(
                f"The key covariance has no eigenvalue below {threshold:g}; the smallest is "
                f"{float(values[0]):.3g}.",
                hint=f"Raise nullspace_threshold; half of the eigenvalues are below {values.median():.3g}.",
            )
        self._keeps_null = self.rank <= len(values) // 2
        self._basis = vectors[:, below if self._keeps_null else ~below].clone()

    @property
    def share(self) -> float:
        """The share of all directions that belong to the null space."""
        return self.rank / self.size

    def project(self, keys: torch.Tensor) -> torch.Tensor:
        """Returns `P keys` for keys `[d_ff, n]`."""
        keys = keys.to(self._basis.dtype)
        part: torch.Tensor = self._basis @ (self._basis.T @ keys)
        return part if self._keeps_null else keys - part
