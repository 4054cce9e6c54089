"""MEMIT: many facts at once, spread over a range of layers.

Meng, Sharma, Andonian, Belinkov, Bau, "Mass-Editing Memory in a Transformer" (ICLR 2023):
`Delta = R Kᵀ (lambda C + K Kᵀ)⁻¹` with keys K `[d_ff, n]` and residuals R `[d, n]` (eq. 14).

With `history`, the keys of earlier batches are in the sum too, `(lambda C + Kp Kpᵀ + K Kᵀ)⁻¹`, so
that a batch disturbs the edits before it less; a baseline of Fang et al. (ICLR 2025) and others.
"""

from __future__ import annotations

from sequela.editors.methods.memit.settings import MEMIT, MemitHyperparameters
from sequela.editors.shared.multi_layer import MultiLayerEditor
from sequela.models import LanguageModel


class Memit(MultiLayerEditor[MemitHyperparameters]):
    """Writes a batch of facts into the MLP output projections of several layers."""

    info = MEMIT

    @property
    def variant(self) -> str:
        """Whether earlier keys are remembered."""
        return "history" if self.hyperparameters.history else ""

    def keeps_history(self) -> bool:
        """As the setting says."""
        return self.hyperparameters.history

    def ridge(self, model: LanguageModel) -> float:
        """`lambda C + norm_weight I = lambda (C + norm_weight / lambda I)`."""
        return self.hyperparameters.norm_weight / self.ridge_weight(model)

    def ridge_weight(self, model: LanguageModel) -> float:
        """Lambda, the weight of C against the batch's own keys.

        The mean of `kᵀ C⁻¹ k` is d_ff, so with lambda = d_ff a typical key is written half by each
        layer, whatever the model's width. The published 15,000 is this for GPT-J (d_ff = 16,384); on a
        narrow model it all but forbids the edit (docs/results/memit-lambda.md).
        """
        weight = self.hyperparameters.mom2_update_weight
        return weight if weight is not None else float(model.key_size)
