"""RECT: only the entries with the greatest relative change are changed.

Gu et al., "Model Editing Harms General Abilities of Large Language Models: Regularization to the Rescue"
(EMNLP 2024, arXiv 2401.04700): of a change `Delta` of a weight W, the share `keep` of entries with the
greatest `|Delta / W|` stays and the others are 0.

The paper applies it to single edits; here it is applied to each batch's change, relative to the weight after
the earlier edits.
"""

from __future__ import annotations

import torch

from sequela.edited import Delta, WeightUpdate
from sequela.editors.regularizers.base import Regularizer, dense, weight_and_update
from sequela.editors.regularizers.settings import RECT, RectSettings
from sequela.models import LanguageModel


class Rect(Regularizer[RectSettings]):
    """Zeroes the entries of each batch's change that are small relative to their weight."""

    info = RECT

    def regularize_batch(self, model: LanguageModel, change: Delta) -> Delta:
        """Returns each weight's change with all other entries set to 0."""
        if self.settings.keep == 1 or not change.finite:
            return change
        updates: dict[str, WeightUpdate] = {}
        for name in change.updates:
            weight, update = weight_and_update(model, name, change)
            relative = (update / weight).abs().nan_to_num(nan=0.0, posinf=torch.inf).flatten()
            n_kept = max(1, round(self.settings.keep * relative.numel()))
            kept = torch.zeros_like(relative, dtype=torch.bool)
            kept[torch.topk(relative, n_kept).indices] = True
            updates[name] = dense(update * kept.reshape(update.shape))
        return Delta(change.base_fingerprint, updates)
