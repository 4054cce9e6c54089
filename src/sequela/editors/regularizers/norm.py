"""A norm constraint on the change in the solve, as in ENCORE.

Gupta et al., "Lifelong Sequential Knowledge Editing without Model Degradation" (2025, arXiv 2502.01636):
`weight ||Delta||²` is added to the objective of the batch methods, so that
`Delta = R Kᵀ (lambda C + K Kᵀ + weight I)⁻¹`. ENCORE also ends the target optimization earlier; that part is
not implemented.
"""

from __future__ import annotations

from sequela.editors.base import AnyEditor
from sequela.editors.regularizers.base import Regularizer
from sequela.editors.regularizers.settings import NORM, NormSettings


class NormConstraint(Regularizer[NormSettings]):
    """Adds the squared norm of the change to the objective of the solve."""

    info = NORM

    def adapt_editor(self, editor: AnyEditor) -> AnyEditor:
        """Returns the method with the constraint's weight in its settings."""
        settings = editor.hyperparameters
        return editor.with_settings(settings.model_copy(update={"norm_weight": self.settings.weight}))
