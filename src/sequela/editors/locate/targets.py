"""The value an edit wants at the subject's last token, found by optimisation.

Meng et al. 2022, eq. 4 (ROME, at the MLP's output) and Meng et al. 2023, eq. 16 (MEMIT,
in the residual stream): minimise the target's negative log-likelihood over contexts,
hold the model's picture of the subject still (KL), and keep the change small.

Where the papers' formulas and the released code differ, this follows the code: the
weight decay is on the norm, not its square, and the KL is taken at the subject's last token.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from sequela.edits import Edit
from sequela.ground.precision import SCORING_DTYPE
from sequela.models import LanguageModel, TokenizedPrompt, tokenize_prompt
from sequela.models.batch import pad_right
from sequela.models.blocks import block_output
from sequela.models.partial import Recording, record
from sequela.models.reading import Site
from sequela.models.spans import BLANK

STOP_BELOW = 0.05
"""The optimisation ends when the total loss falls below this (released code of ROME and MEMIT)."""

ESSENCE_PROMPT = f"{BLANK} is a"
"""The prompt whose continuation shall stay as it was (Meng et al. 2022, section 3.1)."""


class TargetHyperparameters(BaseModel):
    """How target values are optimised; names and meaning as in the released ROME and MEMIT."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    v_num_grad_steps: int = Field(default=25, ge=1, description="Most evaluations of the loss.")
    v_lr: float = Field(default=0.5, gt=0, description="Adam's learning rate.")
    v_weight_decay: float = Field(default=0.5, ge=0, description="Weight of ||delta|| / ||v||^2.")
    clamp_norm_factor: float = Field(default=4.0, gt=0, description="Bound of ||delta|| / ||v||.")
    kl_factor: float = Field(default=0.0625, ge=0, description="Weight of the KL at '{subject} is a'.")


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
        initial: What stood at the site at the bare prompt's subject, `[d]`.
        delta: The change found, `[d]`.
        losses: The loss at each step; the last is the loss of `delta`.
    """

    initial: torch.Tensor
    delta: torch.Tensor
    losses: tuple[Losses, ...]

    @property
    def value(self) -> torch.Tensor:
        """`v* = v + delta`, `[d]`."""
        return self.initial + self.delta

    @property
    def failure(self) -> str:
        """Why the value can't be used; empty if it can."""
        if not math.isfinite(self.losses[-1].total):
            return "the loss is not finite"
        return "" if torch.isfinite(self.value).all() else "the target value is not finite"


def optimize_target(
    model: LanguageModel, edit: Edit, contexts: Sequence[str], site: Site, settings: TargetHyperparameters
) -> Target:
    """Finds the change at `site` that makes the model continue the edit's prompt with its target.

    Args:
        model: The model as it is now, earlier edits included.
        edit: The edit.
        contexts: Context templates, the bare `{}` first.
        site: `value` (ROME) or `block` (MEMIT), and the layer.
        settings: How to optimise.

    Returns:
        The value found and the losses on the way.
    """
    problem = _Problem(model, edit, contexts, site)
    initial = problem.initial
    norm = torch.linalg.norm(initial)
    delta = torch.zeros_like(initial, requires_grad=True)
    adam = torch.optim.Adam([delta], lr=settings.v_lr)
    losses: list[Losses] = []
    for step in range(settings.v_num_grad_steps):
        with torch.enable_grad():
            likelihood, kl = problem.losses(delta)
            kl = settings.kl_factor * kl
            decay = settings.v_weight_decay * torch.linalg.norm(delta) / norm**2
            total = likelihood + kl + decay
        losses.append(Losses(*(float(term.detach()) for term in (total, likelihood, kl, decay))))
        last = step == settings.v_num_grad_steps - 1
        if last or losses[-1].total < STOP_BELOW or not torch.isfinite(total):
            break
        (delta.grad,) = torch.autograd.grad(total, [delta])
        adam.step()
        with torch.no_grad():
            bound = settings.clamp_norm_factor * norm
            length = torch.linalg.norm(delta)
            if length > bound:
                delta *= bound / length
    return Target(initial, delta.detach(), tuple(losses))


class _Problem:
    """The batch of one edit: its prompt with target in every context, and the essence prompt last."""

    def __init__(self, model: LanguageModel, edit: Edit, contexts: Sequence[str], site: Site) -> None:
        self.model = model
        self.site = site
        rewrites = [
            tokenize_prompt(model.tokenizer, edit.prompt, edit.subject, edit.target_new, context)
            for context in contexts
        ]
        essence = tokenize_prompt(model.tokenizer, ESSENCE_PROMPT, edit.subject)
        rows = [prompt.ids[:-1] for prompt in rewrites] + [essence.ids[: essence.subject_last + 1]]
        batch = pad_right(rows, model.pad_id, model.device)
        subject_last = [prompt.subject_last for prompt in [*rewrites, essence]]
        first = site.layer if site.kind == "value" else site.layer + 1
        with _outputs(model, site) as seen:
            # Nothing before the subject's last token can change: only what comes from there on is
            # run again in each step.
            self.recording = record(model, batch, first, starts=subject_last)
        self.initial = seen[0][0, subject_last[0]].detach().clone()
        device = model.device
        self.rows = torch.arange(len(rows), device=device)
        self.columns = torch.tensor(
            [last - start for last, start in zip(subject_last, self.recording.starts, strict=True)],
            device=device,
        )
        self.n_targets = [len(prompt.target_ids) for prompt in rewrites]
        self.target_ids = torch.tensor(
            [token for prompt in rewrites for token in prompt.target_ids], device=device
        )
        self.read_rows, self.read_columns = _logit_places(
            rewrites, subject_last[-1], self.recording.starts, device
        )
        with torch.no_grad():
            self.essence_before = self._log_probabilities(self.recording.final)[-1]

    def losses(self, delta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The target's negative log-likelihood and the KL of the essence prompt, with `delta` added."""
        log_probabilities = self._log_probabilities(self._run(delta))
        picked = log_probabilities[:-1].gather(1, self.target_ids[:, None])[:, 0]
        per_context = torch.stack([part.mean() for part in torch.split(picked, self.n_targets)])
        after = log_probabilities[-1]
        kl = (after.exp() * (after - self.essence_before)).sum()
        return -per_context.mean(), kl

    def _run(self, delta: torch.Tensor) -> torch.Tensor:
        """Final hidden states with `delta` added at the subject's last token of every row."""
        recording: Recording = self.recording
        if self.site.kind == "block":
            return recording.run(self._added(recording.hidden, delta))

        def add(_: nn.Module, __: Any, output: torch.Tensor) -> torch.Tensor:
            return self._added(output, delta)

        hook = self.model.family.mlp_out_module(self.model.module, self.site.layer).register_forward_hook(add)
        try:
            return recording.run()
        finally:
            hook.remove()

    def _added(self, hidden: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
        places = (self.rows, self.columns)
        return hidden.index_put(places, delta.to(hidden.dtype).expand(len(self.rows), -1), accumulate=True)

    def _log_probabilities(self, final: torch.Tensor) -> torch.Tensor:
        """Log-probabilities at the target positions of all rows and, last, at the essence prompt's."""
        hidden = final[self.read_rows, self.read_columns]
        logits = self.model.family.logits(self.model.module, hidden)
        return torch.log_softmax(logits.to(SCORING_DTYPE), dim=-1)


def _logit_places(
    rewrites: Sequence[TokenizedPrompt], essence_last: int, starts: Sequence[int], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows and columns whose logits predict the targets; the essence prompt's subject comes last."""
    rows: list[int] = []
    columns: list[int] = []
    for row, prompt in enumerate(rewrites):
        start = len(prompt.prompt_ids) - 1 - starts[row]
        rows.extend([row] * len(prompt.target_ids))
        columns.extend(range(start, start + len(prompt.target_ids)))
    rows.append(len(rewrites))
    columns.append(essence_last - starts[-1])
    return torch.tensor(rows, device=device), torch.tensor(columns, device=device)


@contextmanager
def _outputs(model: LanguageModel, site: Site) -> Iterator[list[torch.Tensor]]:
    """Keeps what is at a site during a pass."""
    seen: list[torch.Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        seen.append(block_output(output))

    family = model.family
    is_value = site.kind == "value"
    module = (family.mlp_out_module if is_value else family.block)(model.module, site.layer)
    hook = module.register_forward_hook(keep)
    try:
        yield seen
    finally:
        hook.remove()
