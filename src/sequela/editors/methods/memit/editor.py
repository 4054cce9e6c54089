"""MEMIT: many facts at once, written into a range of layers.

Meng, Sharma, Andonian, Belinkov, Bau, "Mass-Editing Memory in a Transformer" (ICLR 2023):
`Delta = R Kᵀ (lambda C + K Kᵀ)⁻¹` with keys K `[d_ff, n]` and residuals R `[d, n]` (eq. 14).

With `history`, the sum includes the keys Kp of earlier batches, `(lambda C + Kp Kpᵀ + K Kᵀ)⁻¹`, so that a
batch changes earlier edits less; this is a baseline of Fang et al. (ICLR 2025) and others.
"""

from __future__ import annotations

from sequela.editors.methods.memit.settings import MEMIT, MEMIT_HISTORY, MemitHyperparameters
from sequela.editors.shared.multi_layer import MultiLayerEditor
from sequela.models import LanguageModel


class Memit(MultiLayerEditor[MemitHyperparameters]):
    """Writes a batch of facts into the MLP output projections of several layers."""

    info = MEMIT

    @property
    def variant(self) -> str:
        """The label `history` if the keys of earlier batches are kept; otherwise empty."""
        return "history" if self.hyperparameters.history else ""

    def keeps_history(self) -> bool:
        """Returns the setting `history`."""
        return self.hyperparameters.history

    def ridge(self, model: LanguageModel) -> float:
        """Returns r with `lambda C + norm_weight I = lambda (C + r I)`, that is, `norm_weight / lambda`."""
        return self.hyperparameters.norm_weight / self.ridge_weight(model)

    def ridge_weight(self, model: LanguageModel) -> float:
        """Returns lambda, the weight of C relative to the batch's own keys.

        The mean of `kᵀ C⁻¹ k` is d_ff, so that with lambda = d_ff each layer writes half of the residual of a
        typical key, independent of the model's width. The published 15,000 is about d_ff of GPT-J (16,384);
        on a narrow model it almost prevents the edit (docs/results/memit-lambda.md).
        """
        weight = self.hyperparameters.mom2_update_weight
        return weight if weight is not None else float(model.key_size)


class MemitHistory(Memit):
    """MEMIT with history under a name of its own."""

    info = MEMIT_HISTORY

    @property
    def variant(self) -> str:
        """Empty: the name says it."""
        return ""
