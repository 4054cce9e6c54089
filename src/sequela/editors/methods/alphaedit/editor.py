"""AlphaEdit: changes in the null space of the model's own keys.

Fang, Jiang, Wang, Ma, Jie, Wang, He, Chua, "AlphaEdit: Null-Space Constrained Knowledge Editing for
Language Models" (ICLR 2025): `Deltaᵀ = (P (K Kᵀ + Kp Kpᵀ) + L2 I)⁻¹ P K Rᵀ` with the projector P on the
eigenvectors of C with eigenvalues below a threshold, keys K `[d_ff, n]`, residuals R `[d, n]`, and the keys
Kp of earlier batches, as computed by the edited model.

The released code solves a `[d_ff, d_ff]` system in float32. This implementation solves an equivalent system
with one row per key in float64. The released code keeps Kp only for the largest model families (it looks for
"llama" in the model's name); here Kp is always kept.
"""

from __future__ import annotations

import torch

from sequela.editors.base import Resources
from sequela.editors.methods.alphaedit.settings import ALPHAEDIT, AlphaEditHyperparameters
from sequela.editors.shared.locate_state import LocateState
from sequela.editors.shared.multi_layer import MultiLayerEditor
from sequela.models import LanguageModel

WIDE = 0.95
"""The share of directions above which a null space is called too wide to protect other keys."""


class AlphaEdit(MultiLayerEditor[AlphaEditHyperparameters]):
    """Writes batches of facts in the null space of the model's keys, and keeps the keys of earlier edits."""

    info = ALPHAEDIT

    def keeps_history(self) -> bool:
        """Returns True: the values of earlier keys are preserved."""
        return True

    def prepare(self, model: LanguageModel, resources: Resources) -> LocateState:
        """Computes the key covariances and their null spaces."""
        state = super().prepare(model, resources)
        for layer in self.layers_of(model):
            found = resources.statistics.null_space(layer, self.hyperparameters.nullspace_threshold)
            warning = ": it hardly protects other keys" if found.share > WIDE else ""
            n_tokens = resources.statistics.key_covariance(layer).n_tokens
            too_few = f" {n_tokens:,} tokens can't show all of them: use more (--tokens)."
            resources.progress.say(
                f"{self.name}: the null space of layer {layer} has {found.rank:,} of {found.size:,} "
                f"directions ({found.share:.0%}){warning}."
                f"{too_few if n_tokens < found.size else ''}"
            )
        return state

    def precondition_keys(self, layer: int, keys: torch.Tensor, resources: Resources) -> torch.Tensor:
        """Returns `P keys`."""
        threshold = self.hyperparameters.nullspace_threshold
        return resources.statistics.null_space(layer, threshold).project(keys)

    def ridge_weight(self, model: LanguageModel) -> float:
        """Returns L2."""
        return self.hyperparameters.L2
