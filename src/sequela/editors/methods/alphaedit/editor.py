"""AlphaEdit: changes that act only where the model's own keys hardly are.

Fang, Jiang, Wang, Ma, Jie, Wang, He, Chua, "AlphaEdit: Null-Space Constrained Knowledge Editing for
Language Models" (ICLR 2025): `Deltaᵀ = (P (K Kᵀ + Kp Kpᵀ) + L2 I)⁻¹ P K Rᵀ` with the projector P on the
eigenvectors of C below a threshold, keys K `[d_ff, n]`, residuals R `[d, n]`, and the keys Kp of earlier
batches, as the edited model has them.

The released code solves a `[d_ff, d_ff]` system in float32; this is the same in float64 by a system of as
many rows as there are keys. Its rule that only the largest model families remember Kp (it looks for
"llama" in the model's name) is not followed.
"""

from __future__ import annotations

import torch

from sequela.editors.base import Resources
from sequela.editors.methods.alphaedit.settings import ALPHAEDIT, AlphaEditHyperparameters
from sequela.editors.shared.locate_state import LocateState
from sequela.editors.shared.multi_layer import MultiLayerEditor
from sequela.models import LanguageModel


class AlphaEdit(MultiLayerEditor[AlphaEditHyperparameters]):
    """Writes batches of facts into the null space of what the model knows, and remembers them."""

    info = ALPHAEDIT

    def keeps_history(self) -> bool:
        """Earlier keys are held still."""
        return True

    def prepare(self, model: LanguageModel, resources: Resources) -> LocateState:
        """Collects the second moments and finds the null spaces."""
        state = super().prepare(model, resources)
        for layer in self.layers_of(model):
            resources.statistics.null_space(layer, self.hyperparameters.nullspace_threshold)
        return state

    def precondition_keys(self, layer: int, keys: torch.Tensor, resources: Resources) -> torch.Tensor:
        """`P keys`."""
        threshold = self.hyperparameters.nullspace_threshold
        return resources.statistics.null_space(layer, threshold).project(keys)

    def ridge_weight(self, model: LanguageModel) -> float:
        """L2."""
        return self.hyperparameters.L2
