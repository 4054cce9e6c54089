"""PRUNE: the singular values of the whole change are held near those of the weight.

Ma, Wang, Xu, Ling, Gu, "Perturbation-Restrained Sequential Model Editing" (ICLR 2025, arXiv 2405.16821):
singular values s of the accumulated `Delta` above the greatest one S of the unedited weight become
`log_alpha(s) - log_alpha(S) + S`; the others stay.

As in the paper, edits go on from the unregularized weights; what is regularized is the change that is
measured or saved.
"""

from __future__ import annotations

import math

import torch

from sequela.edited import Delta, LowRank, WeightUpdate
from sequela.editors.regularizers.base import Regularizer, weight_and_update
from sequela.editors.regularizers.settings import PRUNE, PruneSettings
from sequela.models import LanguageModel


class Prune(Regularizer[PruneSettings]):
    """Holds the singular values of the accumulated change near those of the weight."""

    info = PRUNE

    def finalize_delta(self, model: LanguageModel, total: Delta) -> Delta:
        """Each weight's change with its greatest singular values lowered; small ones stay as they are."""
        if not total.finite:
            return total
        updates: dict[str, WeightUpdate] = {}
        for name, update in total.updates.items():
            weight, change = weight_and_update(model, name, total)
            highest = float(torch.linalg.matrix_norm(weight, ord=2))
            left, values, right = torch.linalg.svd(change, full_matrices=False)
            above = values > highest
            if not above.any():
                updates[name] = update
                continue
            lowered = (values.log() - math.log(highest)) / math.log(self.settings.alpha) + highest
            kept = torch.where(above, lowered, values)
            updates[name] = LowRank((left * kept).float().contiguous(), right.float().contiguous())
        return Delta(total.base_fingerprint, updates)
