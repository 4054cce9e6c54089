"""NAS: target values keep the norm that the unedited model has there.

"Norm-anchored scaling" (2026, arXiv 2602.02543): each target value v* becomes `v* r / ||v*||`, with r the
norm that belongs there in the unedited model. Without it norms feed on themselves: an edit makes the
values longer, and the next one's bound is a multiple of their length.

r is what the unedited model has at the same prompt's subject, so that it is each fact's own.
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
        """The method with anchored targets."""
        settings = editor.hyperparameters
        return editor.with_settings(settings.model_copy(update={"anchored": True}))
