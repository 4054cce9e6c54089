"""The least-squares solves that turn keys and target residuals into a change of weights.

They use float64 if the device supports it; the factors are stored in float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sequela.core.precision import solve_dtype
from sequela.edited import LowRank

SAME_KEY = 0.05
"""The relative distance below which two keys are of the same question.

The same question read again differs by 2e-6 in float32 and by up to 0.02 in bfloat16 (SmolLM2-135M); the
nearest two of 300 CounterFact questions differ by 0.36.
"""

ROUNDING = 1e-6
"""The relative distance below which two keys are equal except for rounding in float32."""

SINGULAR = 1e13
"""The condition number from which a system is solved by the pseudoinverse."""


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

    An earlier key that equals a new one is left out: the new edit takes its place. Otherwise the second edit
    of a question would be written by half, the third by a third, and so on.

    The cost is `d_ff² n` for `G Z` plus `n³`, not `d_ff³`.

    Args:
        mapped: `G Z`, `[d_ff, n]`.
        keys: Z, earlier keys first, `[d_ff, n]`.
        weight: The weight in the formula.
        n_new: The number of keys, at the end, that belong to the batch; by default all.
    """
    keys = keys.to(mapped.dtype)
    n_new = keys.shape[1] if n_new is None else n_new
    n_earlier = keys.shape[1] - n_new
    kept = torch.ones(keys.shape[1], dtype=torch.bool, device=keys.device)
    kept[:n_earlier] = ~same_question(keys[:, :n_earlier].T, keys[:, n_earlier:].T, ROUNDING)
    keys, mapped = keys[:, kept], mapped[:, kept]
    inner = keys.T @ mapped
    inner = (inner + inner.T) / 2  # symmetric except for rounding
    inner.diagonal().add_(weight)
    if not torch.isfinite(inner).all():
        return Adjustment(torch.full_like(mapped, float("nan"))[:, -n_new:], float("nan"))
    scales = torch.linalg.eigvalsh(inner).abs()
    condition = _condition(scales)
    if condition < SINGULAR:
        adjusted: torch.Tensor = torch.linalg.solve(inner, mapped, left=False)
    else:  # linearly dependent keys: the residuals of equal keys are averaged
        adjusted = mapped @ torch.linalg.pinv(inner, rtol=1 / SINGULAR, hermitian=True)
    return Adjustment(adjusted[:, -n_new:], condition)


def _condition(scales: torch.Tensor) -> float:
    """Returns the ratio of the largest to the smallest singular value, at most 1e300."""
    if not len(scales):
        return 1.0
    largest, smallest = float(scales.max()), float(scales.min())
    return largest / smallest if smallest > 1e-300 * max(largest, 1.0) else 1e300


def same_question(earlier: torch.Tensor, new: torch.Tensor, tolerance: float = SAME_KEY) -> torch.Tensor:
    """Returns which earlier keys are the key of a new edit, `[earlier]`.

    Args:
        earlier: The keys of earlier edits, `[earlier, d_ff]`.
        new: The keys of new edits, `[new, d_ff]`.
        tolerance: The relative distance up to which keys are the same.
    """
    if not len(earlier) or not len(new):
        return torch.zeros(len(earlier), dtype=torch.bool, device=earlier.device)
    distances = torch.cdist(earlier.double(), new.double(), compute_mode="donot_use_mm_for_euclid_dist")
    lengths = torch.linalg.norm(new.double(), dim=-1)
    same: torch.Tensor = ((distances <= tolerance * lengths) & (lengths > 0)).any(dim=1)
    return same


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
