"""EMMET: ROME's equality constraint for a whole batch.

Gupta, Sajnani, Anumanchipalli, "A Unified Framework for Model Editing" (EMNLP 2024):
`Delta = R (Kᵀ C⁻¹ K + a I)⁻¹ Kᵀ C⁻¹` with keys K `[d_ff, n]` and residuals R `[d, n]`. With a = 0 every
edit's value is matched exactly; a small a keeps the inverse well-conditioned if keys are similar.

By the push-through identity this is MEMIT with lambda = a. The two methods share one formula and differ only
in the weight: MEMIT's lambda is in the thousands, EMMET's a is 0.1. The released code multiplies C by
`mom2_update_weight` and leaves a unchanged, which amounts to a weight of a times that factor; here C is not
scaled.
"""

from __future__ import annotations

from sequela.editors.methods.emmet.settings import EMMET, EmmetHyperparameters
from sequela.editors.shared.multi_layer import MultiLayerEditor
from sequela.models import LanguageModel


class Emmet(MultiLayerEditor[EmmetHyperparameters]):
    """Writes a batch of facts so that their values are matched (almost) exactly."""

    info = EMMET

    def ridge_weight(self, model: LanguageModel) -> float:
        """Returns the weight a."""
        return self.hyperparameters.emmet_lambda
