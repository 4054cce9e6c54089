"""FT-M: fine-tuning of one MLP output projection on the target's tokens only.

The strong fine-tuning baseline of Zhang et al., "A Comprehensive Study of Knowledge
Editing" (2024): ordinary cross-entropy over the target with the prompt masked, a few
Adam steps, optionally an L-infinity bound on the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

from sequela.deltas import Delta
from sequela.deltas.delta import difference
from sequela.editors.editor import Editor, EditReport, NoState, Outcome, Resources, relative_norms
from sequela.edits import Edit
from sequela.ground.precision import SCORING_DTYPE
from sequela.models import LanguageModel, tokenize_prompt
from sequela.models.batch import pad_right
from sequela.models.partial import Recording, record

STOP_BELOW = 0.01
"""Training ends when the mean loss falls below this."""


class FineTuningHyperparameters(BaseModel):
    """FT-M's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: tuple[NonNegativeInt, ...] | None = Field(
        default=None, min_length=1, description="The layers to tune; by default one, two thirds up."
    )
    num_steps: int = Field(default=25, ge=1, description="Most Adam steps.")
    lr: float = Field(default=5e-4, gt=0, description="Adam's learning rate.")
    weight_decay: float = Field(default=0.0, ge=0, description="Adam's weight decay.")
    norm_constraint: float | None = Field(
        default=None, gt=0, description="Bound of each entry's change; none by default."
    )


class FineTuningMasked(Editor[FineTuningHyperparameters, NoState]):
    """Fine-tunes MLP output projections on a batch of edits."""

    name: ClassVar[str] = "ft-m"
    summary: ClassVar[str] = "Fine-tuning of an MLP layer on the target tokens (Zhang et al. 2024)."
    hyperparameters_class = FineTuningHyperparameters

    def layers_of(self, model: LanguageModel) -> tuple[int, ...]:
        """The layers that are tuned, ascending."""
        layers = self.hyperparameters.layers
        return tuple(sorted(set(layers))) if layers is not None else (round(DEFAULT_DEPTH * model.n_layers),)

    def lowest_block(self, model: LanguageModel) -> int:
        """The lowest tuned layer."""
        return self.layers_of(model)[0]

    def prepare(self, model: LanguageModel, resources: Resources) -> NoState:
        """Needs nothing beforehand."""
        model.check_layers(self.layers_of(model))
        return NoState()

    def edit(
        self, model: LanguageModel, edits: Sequence[Edit], state: NoState, resources: Resources
    ) -> Outcome[NoState]:
        """Tunes on all edits of the batch together."""
        layers = self.layers_of(model)
        names = [model.family.mlp_out_name(layer) for layer in layers]
        weights = [model.module.get_parameter(name) for name in names]
        originals = [weight.detach().clone() for weight in weights]
        batch = _TargetBatch(model, edits, layers[0])
        try:
            losses = self._tune(weights, originals, batch)
            tuned = [weight.detach().clone() for weight in weights]
        finally:
            for weight, original in zip(weights, originals, strict=True):
                weight.requires_grad_(False)
                weight.grad = None
                weight.data.copy_(original)
        updates = {name: difference(model, name, weight) for name, weight in zip(names, tuned, strict=True)}
        delta = Delta(model.fingerprint, updates)
        failure = "" if torch.isfinite(losses[-1]).all() else "the loss is not finite"
        if not delta.finite:
            failure = "the tuned weight is not finite"
        if failure:
            delta = Delta.empty(model.fingerprint)
        norm = max(relative_norms(model, delta).values(), default=float("nan"))
        reports = tuple(
            EditReport(
                edit_id=edit.id,
                steps=len(losses),
                first_loss=float(losses[0][i]),
                final_loss=float(losses[-1][i]),
                relative_norm=norm,
                dropped=failure,
            )
            for i, edit in enumerate(edits)
        )
        return Outcome(delta, state, reports)

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


class _TargetBatch:
    """The edits' prompts with their targets; blocks below the tuned layer are run once only."""

    def __init__(self, model: LanguageModel, edits: Sequence[Edit], layer: int) -> None:
        self.model = model
        prompts = [
            tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, edit.target_new) for edit in edits
        ]
        batch = pad_right([prompt.ids[:-1] for prompt in prompts], model.pad_id, model.device)
        self.recording: Recording = record(model, batch, layer)
        self.lengths = [len(prompt.target_ids) for prompt in prompts]
        self.targets = [torch.tensor(prompt.target_ids, device=model.device) for prompt in prompts]
        self.starts = [len(prompt.prompt_ids) - 1 for prompt in prompts]

    def losses(self) -> torch.Tensor:
        """Mean cross-entropy over each edit's target tokens, `[edits]`."""
        final = self.recording.run()
        losses = []
        for row, (start, target) in enumerate(zip(self.starts, self.targets, strict=True)):
            hidden = final[row, start : start + len(target)]
            logits = self.model.family.logits(self.model.module, hidden).to(SCORING_DTYPE)
            losses.append(torch.nn.functional.cross_entropy(logits, target))
        return torch.stack(losses)


DEFAULT_DEPTH = 2 / 3
"""Where FT-M writes by default, as a part of the depth."""
