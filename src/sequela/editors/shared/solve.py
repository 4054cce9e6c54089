"""The least-squares solves that turn keys and target residuals into a change of weights.

They use float64 if the device supports it; the factors are stored in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sequela.core.precision import solve_dtype
from sequela.edited import LowRank


@dataclass(frozen=True)
class Adjustment:
    """The adjusted keys A of a batch, which give its change `Delta = R Aᵀ` for residuals R.

    Args:
        keys: The adjusted keys A, `[d_ff, n]`.
        condition: The condition number of the system that was solved.
    """

    keys: torch.Tensor
    condition: float


def ridge_adjustment(
    mapped: torch.Tensor, keys: torch.Tensor, weight: float, n_new: int | None = None
) -> Adjustment:
    """Computes `G Z (weight I + Zᵀ G Z)⁻¹`, restricted to the columns of the newest keys.

    Every batch method is an instance of this formula (Gupta et al. 2024, "A Unified Framework for Model
    Editing", show it for ROME, MEMIT and EMMET):

    * `G = C⁻¹`, weight lambda: MEMIT, `(lambda C + Z Zᵀ)⁻¹ Z`, by the push-through identity;
    * `G = C⁻¹`, a small weight: EMMET; with weight 0, the edits' values are matched exactly;
    * `G = P`, weight `L2`: AlphaEdit, `(P Z Zᵀ + L2 I)⁻¹ P Z`.

    The cost is `d_ff² n` for `G Z` plus `n³`, not `d_ff³`.

    Args:
        mapped: `G Z`, `[d_ff, n]`.
        keys: Z, earlier keys first, `[d_ff, n]`.
        weight: The weight in the formula.
        n_new: The number of keys, at the end, that belong to the batch; by default all.
    """
    keys = keys.to(mapped.dtype)
    inner = keys.T @ mapped
    inner = (inner + inner.T) / 2  # symmetric except for rounding
    inner.diagonal().add_(weight)
    adjusted: torch.Tensor = torch.linalg.solve(inner, mapped, left=False)
    scales = torch.linalg.eigvalsh(inner).abs()
    condition = float(scales.max() / scales.min()) if len(scales) else 1.0
    return Adjustment(adjusted[:, -n_new:] if n_new is not None else adjusted, condition)


def rank_one(direction: torch.Tensor, key: torch.Tensor, residual: torch.Tensor) -> LowRank:
    """Returns the update that adds `residual` to the output for `key` (Meng et al. 2022, eq. 2).

    `Delta = residual ⊗ u / (u . key)`.

    Args:
        direction: u, `[d_ff]`; its norm doesn't matter.
        key: The key whose output changes, `[d_ff]`.
        residual: The target change of the output, `[d]`.
    """
    dtype = solve_dtype(direction.device)
    u = direction.to(dtype) / torch.linalg.norm(direction.to(dtype))
    scale = torch.dot(u, key.to(dtype))
    b = (residual.to(dtype) / scale)[:, None]
    return LowRank(b.float(), u[None, :].float())
