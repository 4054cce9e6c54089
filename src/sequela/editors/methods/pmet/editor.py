"""PMET: targets of attention and MLP are sought together, and only the MLP's is written.

Li, Li, Song, Yang, Ma, Yu, "PMET: Precise Model Editing in a Transformer" (AAAI 2024). Two changes
are optimised at the last edited layer, one added to the attention's output and one to the MLP's; the
attention's absorbs what the MLP need not carry and is thrown away. Then as MEMIT, with the residual
divided by the square root of the layers left.

Once the target is the most likely token in the mean over contexts, its likelihood counts a tenth,
and the search ends when the divergence at the essence prompt is small.

Defects of the released code that are not copied: it leaves the token that begins every text in the
target (Llama then learns to say it), pads on the left while it counts from the left, and puts the
space before a target only for models with "gpt" in their name.
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
"""What the likelihood is multiplied by once the target is the most likely token (released code)."""

KL_BELOW = 0.01
"""And then it ends once the weighted divergence is no higher than this (released code)."""


@dataclass
class UntilMostLikely(StoppingRule):
    """PMET's rule for the end."""

    met: set[int] = field(default_factory=set)

    def likelihood_factor(self, edit: int) -> float:
        """A tenth once the target was the most likely token."""
        return MET_FACTOR if edit in self.met else 1.0

    def ends(self, edit: int, losses: Losses, highest: float, target: float) -> bool:
        """Ends too where the target is the most likely token and the divergence is small."""
        if super().ends(edit, losses, highest, target):
            return True
        if highest != target:
            self.met.discard(edit)
            return False
        self.met.add(edit)
        return losses.kl <= KL_BELOW


class Pmet(Memit):
    """Writes a batch of facts, with targets that attention's part is taken out of."""

    info = PMET

    rule: ClassVar[type[StoppingRule]] = UntilMostLikely

    def target_site(self, model: LanguageModel) -> Site:
        """The MLP's output in the last edited layer."""
        return Site("value", self.layers_of(model)[-1])

    def residual_divisor(self, n_left: int) -> float:
        """The square root of the layers left."""
        return float(n_left**0.5)

    def target_sites(self, model: LanguageModel) -> list[Site]:
        """The MLP's output, and with it the attention's."""
        site = self.target_site(model)
        return [site, Site("attention", site.layer)]
