"""A constraint on the size of the change inside the solve, in the manner of ENCORE.

Gupta et al., "Lifelong Sequential Knowledge Editing without Model Degradation" (2025, arXiv 2502.01636):
`weight ||Delta||²` joins what the batch methods minimise, `Delta = R Kᵀ (lambda C + K Kᵀ + weight I)⁻¹`.
(ENCORE also ends the search for target values earlier; that part is not here.)
"""

from __future__ import annotations

from sequela.editors.base import AnyEditor
from sequela.editors.regularizers.base import Regularizer
from sequela.editors.regularizers.settings import NORM, NormSettings


class NormConstraint(Regularizer[NormSettings]):
    """Adds the size of the change to what the solve minimises."""

    info = NORM

    def adapt_editor(self, editor: AnyEditor) -> AnyEditor:
        """The method with the weight among its settings."""
        settings = editor.hyperparameters
        return editor.with_settings(settings.model_copy(update={"norm_weight": self.settings.weight}))
