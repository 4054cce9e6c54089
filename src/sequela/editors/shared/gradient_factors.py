"""The two factors of a linear layer's gradient, and changes of weights given as such factors.

The gradient of a loss by the weight of a linear layer is a sum over tokens of outer products: what leaves the
layer has the gradient d, what entered it is x, and the weight's gradient is `sum d xᵀ`. Both are read without
making the gradient itself, for each row of a batch apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from sequela.core.errors import SequelaError
from sequela.edited import Dense, LowRank, WeightUpdate
from sequela.editors.shared.target_loss import losses_from_hidden
from sequela.models import LanguageModel, TokenizedPrompt
from sequela.models.forward.hooks import OutputHook, hooked
from sequela.models.forward.replay import ForwardRecord


@dataclass(frozen=True)
class GradientFactors:
    """A weight's gradient or change in each row of a batch, as the sum over tokens of `d xᵀ`.

    Args:
        inputs: x, `[rows, width, in]`.
        gradients: d, `[rows, width, out]`; zero where a token plays no part.
    """

    inputs: torch.Tensor
    gradients: torch.Tensor

    def of_row(self, row: int) -> LowRank:
        """One row's sum, `[out, in]`, without tokens that play no part."""
        x, d = self.inputs[row], self.gradients[row]
        used = (x != 0).any(-1) & (d != 0).any(-1)
        return LowRank(d[used].T.contiguous(), x[used].contiguous())


Changes = Mapping[str, GradientFactors]
"""By the names of linear layers, how each row changes their weights."""


def mlp_linears(model: LanguageModel, layers: Sequence[int]) -> tuple[str, ...]:
    """The names of all linear layers in the MLPs of some layers."""
    found: list[str] = []
    for layer in layers:
        parent = model.family.mlp_out.format(layer).rpartition(".")[0]
        mlp = model.module.get_submodule(parent)
        found += [
            f"{parent}.{name}" for name, module in mlp.named_modules() if type(module) in (nn.Linear, Conv1D)
        ]
    if not found:
        raise SequelaError(f"No linear layers were found in the MLPs of {model.name!r}.")
    return tuple(found)


def read_factors(
    model: LanguageModel,
    recording: ForwardRecord,
    names: Sequence[str],
    prompts: Sequence[TokenizedPrompt],
    recompute: bool = False,
) -> tuple[dict[str, GradientFactors], torch.Tensor]:
    """Runs the upper part of a recorded pass and reads the factors of the gradient of each target's loss.

    Args:
        model: The model.
        recording: The pass, from the lowest of the layers on.
        names: The linear layers.
        prompts: The rows of the pass, prompts with targets.
        recompute: Whether blocks are run again in the backward pass and keep nothing for it.

    Returns:
        The factors by layer, on the model's device, and the losses in nats a token, `[rows]`.
    """
    inputs: dict[str, torch.Tensor] = {}
    shifts: dict[str, torch.Tensor] = {}

    def hook(name: str) -> OutputHook:
        def with_shift(layer_inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
            inputs[name] = layer_inputs.detach().float().to(model.device)
            shifts[name] = torch.zeros_like(outputs, requires_grad=True)
            return outputs + shifts[name]

        return with_shift

    with torch.enable_grad(), hooked(model, {name: hook(name) for name in names}):
        final = recording.replay(recomputed=nullcontext if recompute else None)
        losses, _ = losses_from_hidden(model, final, prompts)
        gradients = torch.autograd.grad(losses.sum(), [shifts[name] for name in names])
    factors = {
        name: GradientFactors(inputs[name], gradient.float().to(model.device))
        for name, gradient in zip(names, gradients, strict=True)
    }
    return factors, losses.detach()


@contextmanager
def changed_together(model: LanguageModel, updates: Mapping[str, WeightUpdate]) -> Iterator[None]:
    """For the length of a block, all rows of a batch have the same change of weights, without its being made.

    Gradients flow to the updates.

    Args:
        model: The model.
        updates: By the names of linear layers.
    """

    def hook(update: WeightUpdate) -> OutputHook:
        def with_change(inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
            projected = inputs.float()
            factors = (update.values,) if isinstance(update, Dense) else (update.a, update.b)
            for factor in factors:
                projected = projected @ factor.to(inputs.device).T
            return outputs + projected.to(outputs.dtype)

        return with_change

    with hooked(model, {name: hook(update) for name, update in updates.items()}):
        yield


@contextmanager
def changed_by(model: LanguageModel, changes: Changes) -> Iterator[None]:
    """For the length of a block, each row of a batch has its own change of weights.

    Gradients flow to the changes; batches must have as many rows.
    """

    def hook(change: GradientFactors) -> OutputHook:
        def with_change(inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
            projected = inputs.float() @ change.inputs.transpose(1, 2).to(inputs.device)
            return outputs + (projected @ change.gradients.to(inputs.device)).to(outputs.dtype)

        return with_change

    with hooked(model, {name: hook(change) for name, change in changes.items()}):
        yield
