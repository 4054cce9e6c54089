"""Target optimization: the search for the value of an edit at the subject's last token.

Meng et al. 2022, eq. 4 (ROME, at the MLP's output) and Meng et al. 2023, eq. 16 (MEMIT, in the residual
stream): minimize the target's negative log-likelihood over contexts, preserve the model's essence of the
subject (KL), and keep the change small. PMET (Li et al. 2024) optimizes at two sites at once.

Many edits are optimized in parallel. Each has its own loss, its own Adam steps (Adam works elementwise) and
its own end, so that the result for one edit doesn't depend on the others.

Where the papers' formulas and the released code differ, this follows the code: the weight decay is on the
norm, not its square, and the KL is taken at the subject's last token.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from sequela.core.batching import in_groups
from sequela.core.progress import SILENT, Progress, counted
from sequela.editors.shared.keys import read_at_subject
from sequela.editors.shared.locate_settings import TargetHyperparameters
from sequela.editors.shared.target_batch import EditTexts, TargetBatch, Terms
from sequela.edits import Edit
from sequela.models import LanguageModel, tokenize_prompt
from sequela.models.forward.activations import Site

STOP_BELOW = 0.05
"""The total loss below which the optimization ends (released code of ROME and MEMIT)."""

TOKENS_AT_ONCE = 512
"""The number of tokens recomputed in parallel: enough to use the processor well, as gradients need memory."""


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
        initial: The initial value of the site at the bare prompt's subject, fp32 `[d]`.
        delta: The optimized change, fp32 `[d]`.
        losses: The loss at each step; the last is the loss of `delta`.
    """

    initial: torch.Tensor
    delta: torch.Tensor
    losses: tuple[Losses, ...]

    @property
    def value(self) -> torch.Tensor:
        """The target value `v* = v + delta`, `[d]`."""
        return self.initial + self.delta

    def of_norm(self, norm: float) -> Target:
        """Returns the target scaled to a norm; the losses remain those of the optimization."""
        value = self.value * (norm / torch.linalg.norm(self.value))
        return Target(self.initial, value - self.initial, self.losses)

    @property
    def failure(self) -> str:
        """The reason why the value can't be used; empty if it can."""
        if not math.isfinite(self.losses[-1].total):
            return "the loss is not finite"
        return "" if torch.isfinite(self.value).all() else "the target value is not finite"


@dataclass
class StoppingRule:
    """The rule by which an edit's optimization ends and its likelihood is weighted.

    This is the rule of ROME and MEMIT: the likelihood has weight 1, and the optimization ends once the
    total loss is small.
    """

    def likelihood_factor(self, edit: int) -> float:
        """Returns the weight of the likelihood in the next step."""
        return 1.0

    def ends(self, edit: int, losses: Losses, highest: float, target: float) -> bool:
        """Returns whether an edit's optimization ends.

        Args:
            edit: The index of the edit.
            losses: The edit's current loss.
            highest: The mean probability of the most likely token at the positions that predict the target.
            target: The mean probability of the target's tokens at these positions.
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
    """Optimizes the changes at `sites` that make the model continue each edit's prompt with its target.

    Args:
        model: The model with all earlier edits applied.
        edits: The edits.
        contexts: Context templates, the bare `{}` first.
        sites: `value` (ROME), `block` (MEMIT), or `value` and `attention` (PMET), with the layer.
        settings: The settings of the optimization.
        new_rule: Creates the stopping rule for a group of edits that are optimized in parallel.
        progress: Receives progress reports.
        what: The name used in progress reports.

    Returns:
        For each edit, the target at each site, with the losses of the optimization.
    """
    texts = [EditTexts.of(model, edit, contexts) for edit in edits]
    total = len(edits) * settings.v_num_grad_steps
    with counted(progress, f"{what}, steps", total) as advance:

        def search(group: list[int]) -> list[dict[Site, Target]]:
            some = [texts[number] for number in group]
            return _Search(model, some, sites, settings, new_rule(), advance).run()

        targets = in_groups([text.n_tokens for text in texts], TOKENS_AT_ONCE, search)
    return _anchored(model, edits, sites, targets) if settings.anchored else targets


@dataclass
class _Search:
    """The optimization of a group of edits in parallel.

    Args:
        model: The model.
        texts: The edits' texts.
        sites: The sites at which changes are added.
        settings: The settings of the optimization.
        rule: The stopping rule.
        advance: Receives the number of steps done; an edit that ends early counts its remaining steps, too.
    """

    model: LanguageModel
    texts: Sequence[EditTexts]
    sites: Sequence[Site]
    settings: TargetHyperparameters
    rule: StoppingRule
    advance: Callable[[int], None]
    losses: list[list[Losses]] = field(init=False)

    def run(self) -> list[dict[Site, Target]]:
        """Runs the optimization and returns a target for each edit and site."""
        n_edits, settings = len(self.texts), self.settings
        batch, initial = TargetBatch.of(self.model, self.texts, self.sites)
        units = {site: _units(self.model, site, start) for site, start in initial.items()}
        norms = {site: torch.linalg.norm(start / units[site], dim=-1) for site, start in initial.items()}
        deltas = {site: torch.zeros_like(start, requires_grad=True) for site, start in initial.items()}
        final = {site: torch.zeros_like(start) for site, start in initial.items()}
        adam = torch.optim.Adam(list(deltas.values()), lr=settings.v_lr)
        self.losses = [[] for _ in range(n_edits)]
        active = torch.arange(n_edits, device=self.model.device)
        for step in range(settings.v_num_grad_steps):
            with torch.enable_grad():
                now = {site: delta[active] for site, delta in deltas.items()}
                terms = batch.terms({site: delta * units[site][active] for site, delta in now.items()})
                sizes = [torch.linalg.norm(now[site], dim=-1) / norms[site][active] ** 2 for site in now]
                decay = settings.v_weight_decay * torch.stack(sizes).sum(0)
                total, goes_on = self._step(active, terms, decay)
                if step == settings.v_num_grad_steps - 1:
                    goes_on = torch.zeros_like(goes_on)
                left = total[goes_on].sum()
            for site in self.sites:  # keep the result of ended edits; later Adam steps on them don't count
                final[site][active[~goes_on]] = now[site].detach()[~goes_on]
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
                site: Target(
                    initial[site][edit], final[site][edit] * units[site][edit], tuple(self.losses[edit])
                )
                for site in self.sites
            }
            for edit in range(n_edits)
        ]

    def _step(
        self, active: torch.Tensor, terms: Terms, decay: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Records the losses; returns the total loss of each active edit and whether it continues."""
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
    model: LanguageModel, edits: Sequence[Edit], sites: Sequence[Site], targets: list[dict[Site, Target]]
) -> list[dict[Site, Target]]:
    """Scales targets to the norm that the unedited model has at the bare prompt's subject."""
    prompts = [tokenize_prompt(model.tokenizer, edit.prompt, edit.subject) for edit in edits]
    with model.unedited():
        unedited = read_at_subject(model, prompts, sites)
    return [
        {site: by_site[site].of_norm(float(unedited[site][n].float().norm())) for site in sites}
        for n, by_site in enumerate(targets)
    ]


def _units(model: LanguageModel, site: Site, start: torch.Tensor) -> torch.Tensor:
    """Returns the unit in which the change of each edit is optimized, `[edits, 1]`: usually 1.

    The output of attention or of an MLP that passes through a norm has no length of its own: the same model
    can have it a hundred times as long. There the unit is the root mean square of the initial output, so that
    step size, weight decay and bound mean the same whatever its length.
    """
    if not has_no_length(model, site):
        return torch.ones_like(start[:, :1])
    return start.square().mean(-1, keepdim=True).sqrt()


def has_no_length(model: LanguageModel, site: Site) -> bool:
    """Returns whether only the direction of a site's activations has an effect, because of a norm."""
    return model.family.post_norms and site.kind in ("value", "attention")


def target_revision(model: LanguageModel) -> str:
    """Returns a label of how targets are optimized, where it differs from the first version; else nothing."""
    return "targets through norms" if model.family.post_norms else ""


@torch.no_grad()
def _clamp(delta: torch.Tensor, bounds: torch.Tensor) -> None:
    """Scales rows of `delta` whose norm exceeds their bound to that bound, in place."""
    norms = torch.linalg.norm(delta, dim=-1)
    exceeding = norms > bounds
    delta[exceeding] *= (bounds[exceeding] / norms[exceeding])[:, None]
