"""Key statistics that are made up, so that an edit can be timed before the real ones are computed."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sequela.models import LanguageModel
from sequela.statistics import CorpusSpec, KeyCovariance, Statistics

SMALL = 1e-3
"""The eigenvalue of half of the directions, which AlphaEdit takes for those that keys hardly use."""


class SyntheticStatistics(Statistics):
    """Statistics of the real size without a text: a dense matrix with two eigenvalues for every layer.

    Solving and factoring takes as long as with the real ones; the edits are not those of a run.

    Args:
        model: The model.
        spec: The corpus recipe that a run would use.
    """

    def __init__(self, model: LanguageModel, spec: CorpusSpec) -> None:
        super().__init__(model, spec)
        self.layers: set[int] = set()
        """The layers that were asked for."""

    def prepare(self, layers: Sequence[int]) -> list[int]:
        """Collects nothing, and remembers the layers."""
        self.layers.update(layers)
        return []

    def key_covariance(self, layer: int) -> KeyCovariance:
        """Returns `H D Hᵀ` with a reflection H and a diagonal D of ones and small values."""
        size = self.model.key_size
        generator = torch.Generator().manual_seed(layer)
        normal = torch.randn(size, generator=generator)
        normal /= normal.norm()
        values = torch.ones(size)
        values[size // 2 :] = SMALL
        scaled = values * normal
        # H = 1 - 2 n nᵀ, multiplied out
        matrix = torch.diag(values) - 2 * (torch.outer(normal, scaled) + torch.outer(scaled, normal))
        matrix += 4 * float(normal @ scaled) * torch.outer(normal, normal)
        self.layers.add(layer)
        return KeyCovariance(layer, matrix.to(self.model.device), 10 * size, "made up")
