"""The value an edit wants at the subject's last token, found by optimisation.

Meng et al. 2022, eq. 4 (ROME, at the MLP's output) and Meng et al. 2023, eq. 16 (MEMIT,
in the residual stream): minimise the target's negative log-likelihood over contexts,
hold the model's picture of the subject still (KL), and keep the change small. PMET (Li et al.
2024) does it at two sites at once.

Many edits are optimised side by side; each has its own loss, its own Adam steps (Adam works entry
by entry) and its own end, so what is found for one doesn't depend on the others.

Where the papers' formulas and the released code differ, this follows the code: the
weight decay is on the norm, not its square, and the KL is taken at the subject's last token.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from sequela.core.batching import in_groups
from sequela.core.progress import SILENT, Progress, counted
from sequela.editors.shared.keys import read_at_subject
from sequela.editors.shared.settings import TargetHyperparameters
from sequela.editors.shared.target_batch import EditTexts, TargetBatch, Terms
from sequela.edits import Edit
from sequela.models import LanguageModel, tokenize_prompt
from sequela.models.forward.activations import Site

STOP_BELOW = 0.05
"""The optimisation ends when the total loss falls below this (released code of ROME and MEMIT)."""

TOKENS_AT_ONCE = 512
"""How many tokens are run again side by side: enough for the processor, and gradients need much memory."""


@dataclass(frozen=True)
class Losses:
    """The loss of one step, in nats: the total and its three terms."""

    total: float
    likelihood: float
    kl: float
    weight_decay: float


@dataclass(frozen=True)
class Target:
    """A target value.

    Args:
        initial: What stood at the site at the bare prompt's subject, fp32 `[d]`.
        delta: The change found, fp32 `[d]`.
        losses: The loss at each step; the last is the loss of `delta`.
    """

    initial: torch.Tensor
    delta: torch.Tensor
    losses: tuple[Losses, ...]

    @property
    def value(self) -> torch.Tensor:
        """`v* = v + delta`, `[d]`."""
        return self.initial + self.delta

    def of_norm(self, norm: float) -> Target:
        """The same direction with another length; the losses stay those of the search."""
        value = self.value * (norm / torch.linalg.norm(self.value))
        return Target(self.initial, value - self.initial, self.losses)

    @property
    def failure(self) -> str:
        """Why the value can't be used; empty if it can."""
        if not math.isfinite(self.losses[-1].total):
            return "the loss is not finite"
        return "" if torch.isfinite(self.value).all() else "the target value is not finite"


@dataclass
class StoppingRule:
    """When an edit's optimisation ends, and how its likelihood is weighed until then.

    This is ROME's and MEMIT's: the likelihood counts fully, and it ends once the total is small.
    """

    def likelihood_factor(self, edit: int) -> float:
        """What the likelihood is multiplied by in the coming step."""
        return 1.0

    def ends(self, edit: int, losses: Losses, highest: float, target: float) -> bool:
        """Whether an edit is done.

        Args:
            edit: Which one.
            losses: Its loss.
            highest: The mean probability of the most likely token where the target is predicted.
            target: The mean probability of the target there.
        """
        return losses.total < STOP_BELOW


def optimize_targets(
    model: LanguageModel,
    edits: Sequence[Edit],
    contexts: Sequence[str],
    sites: Sequence[Site],
    settings: TargetHyperparameters,
    new_rule: Callable[[], StoppingRule] = StoppingRule,
    progress: Progress = SILENT,
    what: str = "targets",
) -> list[dict[Site, Target]]:
    """Finds the changes at `sites` that make the model continue each edit's prompt with its target.

    Args:
        model: The model as it is now, earlier edits included.
        edits: The edits.
        contexts: Context templates, the bare `{}` first.
        sites: `value` (ROME), `block` (MEMIT), or `value` and `attention` (PMET), with the layer.
        settings: How to optimise.
        new_rule: Makes the rule by which edits that are optimised side by side end.
        progress: Who is told.
        what: What it is called there.

    Returns:
        For each edit and site the value found, with the losses on the way.
    """
    texts = [EditTexts.of(model, edit, contexts) for edit in edits]
    total = len(edits) * settings.v_num_grad_steps
    with counted(progress, f"{what}, steps", total) as advance:

        def search(group: list[int]) -> list[dict[Site, Target]]:
            some = [texts[number] for number in group]
            return _Search(model, some, sites, settings, new_rule(), advance).run()

        found = in_groups([text.n_tokens for text in texts], TOKENS_AT_ONCE, search)
    return _anchored(model, edits, sites, found) if settings.anchored else found


@dataclass
class _Search:
    """The optimisation of some edits side by side.

    Args:
        model: The model.
        texts: The edits' texts.
        sites: Where something is added.
        settings: How to optimise.
        rule: When an edit ends.
        advance: Is told of the steps of each edit; of one that ends early, of those it doesn't need.
    """

    model: LanguageModel
    texts: Sequence[EditTexts]
    sites: Sequence[Site]
    settings: TargetHyperparameters
    rule: StoppingRule
    advance: Callable[[int], None]
    losses: list[list[Losses]] = field(init=False)

    def run(self) -> list[dict[Site, Target]]:
        """Optimises; returns a target for each edit and site."""
        n_edits, settings = len(self.texts), self.settings
        batch, initial = TargetBatch.of(self.model, self.texts, self.sites)
        norms = {site: torch.linalg.norm(start, dim=-1) for site, start in initial.items()}
        deltas = {site: torch.zeros_like(start, requires_grad=True) for site, start in initial.items()}
        found = {site: torch.zeros_like(start) for site, start in initial.items()}
        adam = torch.optim.Adam(list(deltas.values()), lr=settings.v_lr)
        self.losses = [[] for _ in range(n_edits)]
        active = torch.arange(n_edits, device=self.model.device)
        for step in range(settings.v_num_grad_steps):
            with torch.enable_grad():
                now = {site: delta[active] for site, delta in deltas.items()}
                terms = batch.terms(now)
                sizes = [torch.linalg.norm(now[site], dim=-1) / norms[site][active] ** 2 for site in now]
                decay = settings.v_weight_decay * torch.stack(sizes).sum(0)
                total, goes_on = self._step(active, terms, decay)
                if step == settings.v_num_grad_steps - 1:
                    goes_on = torch.zeros_like(goes_on)
                left = total[goes_on].sum()
            for site in self.sites:  # what has ended stays as it is; Adam moves its row on in vain
                found[site][active[~goes_on]] = now[site].detach()[~goes_on]
            ended, steps_after = int((~goes_on).sum()), settings.v_num_grad_steps - 1 - step
            self.advance(len(goes_on) + ended * steps_after)
            if not goes_on.any():
                break
            gradients = torch.autograd.grad(left, list(deltas.values()))
            for delta, gradient in zip(deltas.values(), gradients, strict=True):
                delta.grad = gradient
            adam.step()
            for site, delta in deltas.items():
                _clamp(delta, settings.clamp_norm_factor * norms[site])
            if not goes_on.all():
                batch = batch.narrowed(goes_on.nonzero()[:, 0])
                active = active[goes_on]
        return [
            {
                site: Target(initial[site][edit], found[site][edit], tuple(self.losses[edit]))
                for site in self.sites
            }
            for edit in range(n_edits)
        ]

    def _step(
        self, active: torch.Tensor, terms: Terms, decay: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The total loss of each active edit, and which of them go on; keeps the losses."""
        numbers = active.tolist()
        factors = terms.likelihood.new_tensor([self.rule.likelihood_factor(edit) for edit in numbers])
        likelihood, kl = factors * terms.likelihood, self.settings.kl_factor * terms.kl
        total = likelihood + kl + decay
        values = torch.stack([total, likelihood, kl, decay, terms.highest, terms.target], 1).detach()
        goes_on = []
        for edit, (*losses, highest, target) in zip(numbers, values.tolist(), strict=True):
            self.losses[edit].append(Losses(*losses))
            ends = self.rule.ends(edit, self.losses[edit][-1], highest, target)
            goes_on.append(math.isfinite(losses[0]) and not ends)
        return total, torch.tensor(goes_on, device=active.device)


def _anchored(
    model: LanguageModel, edits: Sequence[Edit], sites: Sequence[Site], found: list[dict[Site, Target]]
) -> list[dict[Site, Target]]:
    """The values scaled to the norm that the unedited model has at the bare prompt's subject."""
    prompts = [tokenize_prompt(model.tokenizer, edit.prompt, edit.subject) for edit in edits]
    with model.unedited():
        belongs = read_at_subject(model, prompts, sites)
    return [
        {site: targets[site].of_norm(float(belongs[site][n].float().norm())) for site in sites}
        for n, targets in enumerate(found)
    ]


@torch.no_grad()
def _clamp(delta: torch.Tensor, bounds: torch.Tensor) -> None:
    """Scales rows of `delta` that are longer than their bound, in place."""
    lengths = torch.linalg.norm(delta, dim=-1)
    longer = lengths > bounds
    delta[longer] *= (bounds[longer] / lengths[longer])[:, None]
