"""Hypernetworks from gradient factors to those of an edit, as in MEND (Mitchell et al. 2022) and MALMEN."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from sequela.editors.shared.gradient_factors import GradientFactors
from sequela.models import LanguageModel

MIN_DEVIATION = 1e-7
"""The term added to a feature's standard deviation, so that a constant feature becomes 0."""


class ResidualLowRank(nn.Module):
    """The block `x + relu(s (U V x + b) + t)`, with scale s and shift t for each edited layer that shares it.

    U is initialized to zero, so that the block starts as the identity.

    Args:
        size: The number of features.
        rank: The rank of `U V`.
        n_modes: The number of edited layers that share the block.
        rectified: True if the block has the relu.
    """

    def __init__(self, size: int, rank: int, n_modes: int, rectified: bool) -> None:
        super().__init__()
        self.rectified = rectified
        self.u = nn.Parameter(torch.zeros(size, rank))
        self.v = nn.Parameter(nn.init.xavier_uniform_(torch.empty(rank, size)))
        self.bias = nn.Parameter(torch.zeros(size))
        self.scale = nn.Parameter(torch.ones(n_modes, size))
        self.shift = nn.Parameter(torch.zeros(n_modes, size))

    def forward(self, x: torch.Tensor, mode: int) -> torch.Tensor:
        """Maps `[..., size]` to `[..., size]`, with the scale and shift of index `mode`."""
        added = self.scale[mode] * (x @ self.v.T @ self.u.T + self.bias) + self.shift[mode]
        # All values start at 0, where a clamp passes gradients and a relu doesn't.
        return x + (added.clamp(min=0) if self.rectified else added)


class ScaledLowRank(ResidualLowRank):
    """MALMEN's block `x + s relu(U V x + b) + t`, which scales and shifts after the relu.

    U is initialized to zero, so that the block starts as the identity.

    Args:
        size: The number of features.
        rank: The rank of `U V`.
        n_modes: The number of edited layers that share the block.
    """

    def __init__(self, size: int, rank: int, n_modes: int) -> None:
        super().__init__(size, rank, n_modes, rectified=True)
        nn.init.normal_(self.v)

    def forward(self, x: torch.Tensor, mode: int) -> torch.Tensor:
        """Maps `[..., size]` to `[..., size]`, with the scale and shift of index `mode`."""
        # All values start at 0, where a clamp passes gradients and a relu doesn't.
        raised = (x @ self.v.T @ self.u.T + self.bias).clamp(min=0)
        return x + self.scale[mode] * raised + self.shift[mode]


class FactorNetwork(nn.Module):
    """The network shared by all edited layers of one shape.

    Args:
        n_in: The width of the edited layers' inputs.
        n_out: The width of the edited layers' outputs.
        n_modes: The number of edited layers.
        layers: The network's own layers.
        normalized: True to normalize features by their mean and standard deviation over the training.
    """

    count: torch.Tensor
    mean: torch.Tensor
    squares: torch.Tensor

    def __init__(
        self, n_in: int, n_out: int, n_modes: int, layers: Sequence[ResidualLowRank], normalized: bool = True
    ) -> None:
        super().__init__()
        size = n_in + n_out
        self.n_in = n_in
        self.normalized = normalized
        self.layers = nn.ModuleList(layers)
        self.register_buffer("count", torch.zeros(n_modes, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(n_modes, size, dtype=torch.float64))
        self.register_buffer("squares", torch.zeros(n_modes, size, dtype=torch.float64))

    def forward(self, factors: GradientFactors, mode: int) -> GradientFactors:
        """Returns the factors of the edit; tokens that don't contribute to the gradient stay zero."""
        used = ((factors.inputs != 0).any(-1) & (factors.gradients != 0).any(-1))[..., None]
        joined = torch.cat([factors.inputs, factors.gradients], dim=-1)
        if self.normalized and float(self.count[mode]) > 1:
            deviation = (self.squares[mode] / (self.count[mode] - 1)).sqrt() + MIN_DEVIATION
            joined = ((joined - self.mean[mode]) / deviation).float()
        for layer in self.layers:
            joined = layer(joined, mode)
        joined = joined * used
        return GradientFactors(joined[..., : self.n_in], joined[..., self.n_in :])

    @torch.no_grad()
    def update_statistics(self, factors: GradientFactors, mode: int) -> None:
        """Updates the running mean and deviation with rows (Welford's recurrence, exact over all batches)."""
        used = (factors.inputs != 0).any(-1) & (factors.gradients != 0).any(-1)
        rows = torch.cat([factors.inputs[used], factors.gradients[used]], dim=-1).double()
        if not len(rows):
            return
        before, total = self.count[mode].clone(), self.count[mode] + len(rows)
        mean = rows.mean(0)
        shift = mean - self.mean[mode]
        self.squares[mode] += ((rows - mean) ** 2).sum(0) + shift**2 * before * len(rows) / total
        self.mean[mode] += shift * len(rows) / total
        self.count[mode] = total


class HyperNetwork(nn.Module):
    """The networks of a method, one for each shape, with a learning rate for each edited layer.

    Args:
        shapes: The shape `(out, in)` of each edited linear layer, by name.
        layers: Creates a network's own layers, given the number of features and the number of edited layers
            that share the network.
        normalized: True if the networks normalize their input.
        edit_lr: The initial value of the learning rates.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, int]],
        layers: Callable[[int, int], Sequence[ResidualLowRank]],
        normalized: bool = True,
        edit_lr: float = 1e-4,
    ) -> None:
        super().__init__()
        self.names = tuple(shapes)
        self.shapes = dict(shapes)
        by_shape: dict[tuple[int, int], list[str]] = defaultdict(list)
        for name, shape in shapes.items():
            by_shape[shape].append(name)
        self.networks_of_layers = {
            name: (f"{shape[0]}x{shape[1]}", mode)
            for shape, names in by_shape.items()
            for mode, name in enumerate(names)
        }
        self.networks = nn.ModuleDict(
            {
                f"{n_out}x{n_in}": FactorNetwork(
                    n_in, n_out, len(names), layers(n_in + n_out, len(names)), normalized
                )
                for (n_out, n_in), names in by_shape.items()
            }
        )
        self.edit_lr = nn.Parameter(torch.full((len(self.names),), edit_lr))

    def transform(self, name: str, factors: GradientFactors) -> GradientFactors:
        """Returns the factors of a layer's edit, given those of its gradient."""
        shape, mode = self.networks_of_layers[name]
        transformed: GradientFactors = self.networks[shape](factors, mode)
        return transformed

    @property
    def width(self) -> int:
        """The widths of all edited layers' inputs and outputs, summed."""
        return sum(n_in + n_out for n_out, n_in in self.shapes.values())

    def update_statistics(self, factors: Mapping[str, GradientFactors]) -> None:
        """Updates the running means and deviations with gradients."""
        for name in self.names:
            shape, mode = self.networks_of_layers[name]
            network = self.networks[shape]
            assert isinstance(network, FactorNetwork)
            network.update_statistics(factors[name], mode)


def shapes_of(model: LanguageModel, names: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Returns the shapes `(out, in)` of linear layers, by name."""
    shapes = {}
    for name in names:
        rows, columns = model.family.as_out_in(model.module.get_parameter(f"{name}.weight")).shape
        shapes[name] = (rows, columns)
    return shapes
