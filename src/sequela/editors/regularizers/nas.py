"""NAS: target values are scaled to the norm of the unedited model's values.

"Norm-anchored scaling" (2026, arXiv 2602.02543): each target value v* becomes `v* r / ||v*||`, with r the
norm of the unedited model's value. Without it norms grow with each edit: an edit increases the norm of the
values, and the bound of the next edit is a multiple of that norm.

r is taken at the subject of the same prompt, so that each fact has its own.
"""

from __future__ import annotations

from sequela.editors.base import AnyEditor
from sequela.editors.catalog_entry import RegularizerSettings
from sequela.editors.regularizers.base import Regularizer
from sequela.editors.regularizers.settings import NAS


class NormAnchoredScaling(Regularizer[RegularizerSettings]):
    """Scales target values to the unedited model's norm."""

    info = NAS

    def adapt_editor(self, editor: AnyEditor) -> AnyEditor:
        """Returns the method with anchored targets."""
        settings = editor.hyperparameters
        return editor.with_settings(settings.model_copy(update={"anchored": True}))
