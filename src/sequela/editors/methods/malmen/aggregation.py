"""MALMEN's network: a target difference at every token, and one ridge solution for all (Tan et al. 2024).

From a key k and the gradient of the loss with respect to its value, the network computes `(k~, v~)`. The
target difference of the value is `d = -lr (k . k~) v~`. One weight's change for all tokens is the ridge
solution `Delta = D Kᵀ (K Kᵀ + e^lambda I)⁻¹`, with the tokens as columns of K and D and a learned lambda for
each layer.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from sequela.core.precision import solve_dtype
from sequela.edited import Dense, LowRank, WeightUpdate
from sequela.editors.shared.gradient_factors import GradientFactors
from sequela.editors.shared.hypernetwork import HyperNetwork, ScaledLowRank

ROWS_AT_ONCE = 1024
"""The number of tokens that pass through the network together (as published)."""


def ridge(keys: torch.Tensor, differences: torch.Tensor, weight: torch.Tensor) -> WeightUpdate:
    """Returns the ridge solution for a weight's change that maps keys to target differences.

    The system is solved over the smaller of tokens and features, and the change has the smaller of the two
    forms, low-rank or dense. Gradients flow to the differences and to the ridge weight.

    Args:
        keys: Kᵀ, `[tokens, in]`; constant.
        differences: Dᵀ, `[tokens, out]`.
        weight: The ridge weight `e^lambda`, a scalar.

    Returns:
        The update, `[out, in]`, fp32.
    """
    dtype = solve_dtype(keys.device)
    k, d = keys.to(dtype), differences.to(dtype)
    (n, n_in), n_out = k.shape, d.shape[1]
    if n > n_in:
        inner = k.T @ k + weight * torch.eye(n_in, dtype=dtype, device=k.device)
        return Dense(torch.linalg.solve(inner, k.T @ d).T.float().contiguous())
    inner = k @ k.T + weight * torch.eye(n, dtype=dtype, device=k.device)
    b = torch.linalg.solve(inner, d).T
    if n * (n_in + n_out) < n_in * n_out:
        return LowRank(b.float().contiguous(), keys.float().contiguous())
    return Dense((b @ k).float())


class AggregatingNetwork(HyperNetwork):
    """MALMEN's networks, with a ridge weight for each edited layer.

    Args:
        shapes: The shape `(out, in)` of each edited linear layer, by name.
        rank: The maximum rank of the networks' own layers.
        n_blocks: The number of the networks' own layers.
        normalized: True if the networks normalize their input.
        edit_lr: The initial value of the learning rates.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, int]],
        rank: int,
        n_blocks: int = 2,
        normalized: bool = True,
        edit_lr: float = 1e-6,
    ) -> None:
        def blocks(size: int, n_modes: int) -> list[ScaledLowRank]:
            return [ScaledLowRank(size, min(rank, size), n_modes) for _ in range(n_blocks)]

        super().__init__(shapes, blocks, normalized, edit_lr)
        self.log_ridge = nn.Parameter(torch.zeros(len(self.names)))

    def forward(self, tokens: Mapping[str, GradientFactors]) -> dict[str, WeightUpdate]:
        """Returns the change of each weight, by the name of its layer.

        Args:
            tokens: The keys `[tokens, in]` and gradients `[tokens, out]` at all tokens of a batch, by layer.
        """
        return {
            name: ridge(
                tokens[name].inputs, self.differences(name, tokens[name]), self.log_ridge[index].exp()
            )
            for index, name in enumerate(self.names)
        }

    def differences(self, name: str, tokens: GradientFactors) -> torch.Tensor:
        """Returns the target differences at all tokens, `[tokens, out]`; 0 where there is no gradient.

        The network's activations are recomputed in the backward pass instead of being kept.
        """
        parts = []
        for at in range(0, len(tokens.inputs), ROWS_AT_ONCE):
            some = slice(at, at + ROWS_AT_ONCE)
            part = GradientFactors(tokens.inputs[some], tokens.gradients[some])
            parts.append(
                checkpoint(self._differences, name, part, use_reentrant=False, preserve_rng_state=False)
            )
        return torch.cat(parts)

    def _differences(self, name: str, tokens: GradientFactors) -> torch.Tensor:
        transformed = self.transform(name, tokens)
        lr = self.edit_lr[self.names.index(name)]
        return -lr * (tokens.inputs * transformed.inputs).sum(-1, keepdim=True) * transformed.gradients
