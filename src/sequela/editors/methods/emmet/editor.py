"""EMMET: ROME's equality constraint for a whole batch.

Gupta, Sajnani, Anumanchipalli, "A Unified Framework for Model Editing" (EMNLP 2024):
`Delta = R (Kᵀ C⁻¹ K + a I)⁻¹ Kᵀ C⁻¹` with keys K `[d_ff, n]` and residuals R `[d, n]`. With a = 0 every
edit's value is met exactly; a small a keeps the inverse tame where keys are alike.

By the push-through identity this is MEMIT with lambda = a: the two methods are one formula, and what
tells them apart is that MEMIT's lambda is thousands and EMMET's a tenth. The released code multiplies C
by `mom2_update_weight` and leaves a as it is, which is a weight of a times that; here C is taken as it is.
"""

from __future__ import annotations

from sequela.editors.methods.emmet.settings import EMMET, EmmetHyperparameters
from sequela.editors.shared.multi_layer import MultiLayerEditor
from sequela.models import LanguageModel


class Emmet(MultiLayerEditor[EmmetHyperparameters]):
    """Writes a batch of facts so that their values are met (almost) exactly."""

    info = EMMET

    def ridge_weight(self, model: LanguageModel) -> float:
        """The weight a."""
        return self.hyperparameters.emmet_lambda
