"""Fine-tuning of MLP output projections: FT-M and FT-L.

FT-M is the strong baseline of Zhang et al., "A Comprehensive Study of Knowledge Editing" (2024): ordinary
cross-entropy over the target with the prompt masked. FT-L is the weak baseline of most papers, as published:
every token of the target is predicted by the distribution after the prompt, which is correct only for
targets of one token. Both take a few Adam steps, optionally within an L-infinity bound on the change
(constrained fine-tuning, Zhu et al. 2020, arXiv 2012.00363).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch

from sequela.edited import Delta
from sequela.edited.delta import difference
from sequela.editors.base import Editor, EditOutcome, EditReport, NoState, Resources, relative_norms
from sequela.editors.methods.fine_tuning.settings import FT_L, FT_M, FineTuningHyperparameters
from sequela.editors.shared.target_loss import collate, losses_from_hidden, tokenize_edits
from sequela.edits import Edit
from sequela.models import LanguageModel
from sequela.models.forward.replay import ForwardRecord, read_logits, record_forward

STOP_BELOW = 0.01
"""The mean loss below which training ends."""


class FineTuning(Editor[FineTuningHyperparameters, NoState]):
    """Fine-tunes MLP output projections on a batch of edits."""

    loss_positions: ClassVar[Literal["each token's own", "last of the prompt"]]
    """The positions at which the target's tokens are predicted."""

    @property
    def variant(self) -> str:
        """The label `constrained` if the change is bounded; otherwise empty."""
        return "" if self.hyperparameters.norm_constraint is None else "constrained"

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """Returns the layers that are tuned, ascending."""
        layers = self.hyperparameters.layers
        return tuple(sorted(set(layers))) if layers is not None else (model.layer_at(DEFAULT_DEPTH),)

    def prepare(self, model: LanguageModel, resources: Resources) -> NoState:
        """Checks that the model has the layers; no other preparation is needed."""
        model.check_layers(self.layers_of(model))
        return NoState()

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: NoState, resources: Resources
    ) -> EditOutcome[NoState]:
        """Tunes the weights on all edits of the batch together."""
        layers = self.layers_of(model)
        names = [model.family.mlp_out_name(layer) for layer in layers]
        weights = [model.module.get_parameter(name) for name in names]
        originals = [weight.detach().clone() for weight in weights]
        batch = _TargetBatch(model, edits, layers[0], self.loss_positions)
        try:
            losses = self._tune(weights, originals, batch)
            tuned = [weight.detach().clone() for weight in weights]
        finally:
            for weight, original in zip(weights, originals, strict=True):
                weight.requires_grad_(False)
                weight.grad = None
                weight.data.copy_(original)
        updates = {name: difference(model, name, weight) for name, weight in zip(names, tuned, strict=True)}
        return tuning_outcome(model, edits, Delta(model.fingerprint, updates), losses)

    def _tune(
        self, weights: list[torch.nn.Parameter], originals: list[torch.Tensor], batch: _TargetBatch
    ) -> list[torch.Tensor]:
        """Changes the weights in place; returns the loss of each edit before each step."""
        settings = self.hyperparameters
        adam = torch.optim.Adam(weights, lr=settings.lr, weight_decay=settings.weight_decay)
        losses: list[torch.Tensor] = []
        for weight in weights:
            weight.requires_grad_(True)
        for _ in range(settings.num_steps):
            with torch.enable_grad():
                per_edit = batch.losses()
                mean = per_edit.mean()
            losses.append(per_edit.detach())
            if float(mean.detach()) < STOP_BELOW or not torch.isfinite(mean):
                break
            gradients = torch.autograd.grad(mean, weights)
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient
            adam.step()
            bound = settings.norm_constraint
            if bound is not None:
                with torch.no_grad():
                    for weight, original in zip(weights, originals, strict=True):
                        weight.copy_(original + (weight - original).clamp(-bound, bound))
        return losses


def tuning_outcome(
    model: LanguageModel, edits: Sequence[Edit], delta: Delta, losses: Sequence[torch.Tensor]
) -> EditOutcome[NoState]:
    """Returns the outcome of tuning on a batch, without the change if it or the loss is not finite.

    Args:
        model: The model before tuning.
        edits: The batch.
        delta: The change of weights.
        losses: The loss of each edit, `[edits]`, before each step.
    """
    failure = "" if torch.isfinite(losses[-1]).all() else "the loss is not finite"
    if not delta.finite:
        failure = "the tuned weight is not finite"
    if failure:
        delta = Delta.empty(model.fingerprint)
    norm = max(relative_norms(model, delta).values(), default=float("nan"))
    reports = tuple(
        EditReport(
            edit_id=edit.id,
            optimization_steps=len(losses),
            first_loss=float(losses[0][i]),
            final_loss=float(losses[-1][i]),
            relative_norm=norm,
            dropped=failure,
        )
        for i, edit in enumerate(edits)
    )
    return EditOutcome(delta, NoState(), reports)


class FineTuningMasked(FineTuning):
    """FT-M: cross-entropy over the target's tokens, each predicted at its own position."""

    info = FT_M
    loss_positions = "each token's own"


class FineTuningLast(FineTuning):
    """FT-L: cross-entropy of all the target's tokens at the last position of the prompt."""

    info = FT_L
    loss_positions = "last of the prompt"


class _TargetBatch:
    """The edits' prompts with their targets; blocks below the tuned layer are run only once."""

    def __init__(self, model: LanguageModel, edits: Sequence[Edit], layer: int, loss_positions: str) -> None:
        self.model = model
        self.loss_positions = loss_positions
        self.prompts = tokenize_edits(model, edits)
        self.recording: ForwardRecord = record_forward(model, collate(model, self.prompts), layer)

    def losses(self) -> torch.Tensor:
        """Returns the mean cross-entropy over each edit's target tokens, `[edits]`."""
        final = self.recording.replay()
        if self.loss_positions == "each token's own":
            return losses_from_hidden(self.model, final, self.prompts)[0]
        losses = []
        for row, prompt in enumerate(self.prompts):
            last = len(prompt.prompt_ids) - 1
            (logits,) = read_logits(self.model, final[row, last : last + 1])
            target = torch.tensor(prompt.target_ids, device=logits.device)
            losses.append(-logits.log_softmax(dim=-1)[target].mean())
        return torch.stack(losses)


DEFAULT_DEPTH = 2 / 3
"""The default position of the tuned layer, as a fraction of the depth."""
