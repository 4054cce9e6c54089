"""PMET: targets of attention and MLP are optimized jointly, and only the MLP's is written.

Li, Li, Song, Yang, Ma, Yu, "PMET: Precise Model Editing in a Transformer" (AAAI 2024). Two changes are
optimized at the last edited layer, one added to the attention's output and one to the MLP's. The attention's
change absorbs the part that the MLP need not store, and is discarded. The rest is as in MEMIT, with the
residual divided by the square root of the number of layers left.

Once the target is the most likely token in the mean over contexts, the weight of its likelihood is a tenth,
and the optimization ends when the divergence at the essence prompt is small.

Defects of the released code that are not copied: it leaves the beginning-of-text token in the target (which
Llama then learns to generate), pads on the left but indexes from the left, and adds the space before a target
only for models with "gpt" in their name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from sequela.editors.methods.memit.editor import Memit
from sequela.editors.methods.pmet.settings import PMET
from sequela.editors.shared.target_optimization import Losses, StoppingRule
from sequela.models import LanguageModel
from sequela.models.forward.activations import Site

MET_FACTOR = 0.1
"""The weight of the likelihood once the target is the most likely token (released code)."""

KL_BELOW = 0.01
"""The weighted divergence at which the optimization then ends (released code)."""


@dataclass
class UntilMostLikely(StoppingRule):
    """PMET's stopping rule."""

    met: set[int] = field(default_factory=set)

    def likelihood_factor(self, edit: int) -> float:
        """Returns 0.1 once the target is the most likely token, and otherwise 1."""
        return MET_FACTOR if edit in self.met else 1.0

    def ends(self, edit: int, losses: Losses, highest: float, target: float) -> bool:
        """Returns True also if the target is the most likely token and the divergence is small."""
        if super().ends(edit, losses, highest, target):
            return True
        if highest != target:
            self.met.discard(edit)
            return False
        self.met.add(edit)
        return losses.kl <= KL_BELOW


class Pmet(Memit):
    """Writes a batch of facts, with attention's part removed from the targets."""

    info = PMET

    rule: ClassVar[type[StoppingRule]] = UntilMostLikely

    def target_site(self, model: LanguageModel) -> Site:
        """Returns the MLP's output in the last edited layer."""
        return Site("value", self.layers_of(model)[-1])

    def residual_divisor(self, n_left: int) -> float:
        """Returns the square root of the number of layers left."""
        return float(n_left**0.5)

    def target_sites(self, model: LanguageModel) -> list[Site]:
        """Returns the outputs of the MLP and the attention."""
        site = self.target_site(model)
        return [site, Site("attention", site.layer)]
