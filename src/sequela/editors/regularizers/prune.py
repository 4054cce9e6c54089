"""PRUNE: the singular values of the total change are limited to those of the weight.

Ma, Wang, Xu, Ling, Gu, "Perturbation-Restrained Sequential Model Editing" (ICLR 2025, arXiv 2405.16821):
singular values s of the accumulated `Delta` above the greatest one S of the unedited weight become
`log_alpha(s) - log_alpha(S) + S`; the others stay.

As in the paper, further edits build on the unregularized weights; only the change that is measured or saved
is regularized.
"""

from __future__ import annotations

import math

import torch

from sequela.edited import Delta, LowRank, WeightUpdate
from sequela.editors.regularizers.base import Regularizer, weight_and_update
from sequela.editors.regularizers.settings import PRUNE, PruneSettings
from sequela.models import LanguageModel


class Prune(Regularizer[PruneSettings]):
    """Limits the singular values of the accumulated change to about those of the weight."""

    info = PRUNE

    def finalize_delta(self, model: LanguageModel, total: Delta) -> Delta:
        """Returns the change with singular values above the weight's greatest one lowered."""
        if not total.finite:
            return total
        updates: dict[str, WeightUpdate] = {}
        for name, update in total.updates.items():
            weight, change = weight_and_update(model, name, total)
            limit = float(torch.linalg.matrix_norm(weight, ord=2))
            left, values, right = torch.linalg.svd(change, full_matrices=False)
            above = values > limit
            if not above.any():
                updates[name] = update
                continue
            lowered = (values.log() - math.log(limit)) / math.log(self.settings.alpha) + limit
            kept = torch.where(above, lowered, values)
            updates[name] = LowRank((left * kept).float().contiguous(), right.float().contiguous())
        return Delta(total.base_fingerprint, updates)
