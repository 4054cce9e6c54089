"""The two factors of a linear layer's gradient, and changes of weights given as such factors.

The gradient of a loss with respect to the weight of a linear layer is a sum of outer products over tokens,
`sum d xᵀ`, with x the layer's input and d the gradient with respect to its output. Both factors are read
without computing the gradient itself, separately for each row of a batch.
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
    """The factors of a weight's gradient or change `sum d xᵀ` over tokens, for each row of a batch.

    Args:
        inputs: x, `[rows, width, in]`.
        gradients: d, `[rows, width, out]`; zero for tokens that don't contribute.
    """

    inputs: torch.Tensor
    gradients: torch.Tensor

    def of_row(self, row: int) -> LowRank:
        """Returns one row's sum, `[out, in]`, without tokens that don't contribute."""
        x, d = self.inputs[row], self.gradients[row]
        used = (x != 0).any(-1) & (d != 0).any(-1)
        return LowRank(d[used].T.contiguous(), x[used].contiguous())


Changes = Mapping[str, GradientFactors]
"""The change of weights for each row of a batch, by the name of the linear layer."""


def mlp_linears(model: LanguageModel, layers: Sequence[int]) -> tuple[str, ...]:
    """Returns the names of all linear layers in the MLPs of some layers.

    Raises:
        SequelaError: The MLPs have no linear layers.
    """
    names: list[str] = []
    for layer in layers:
        parent = model.family.mlp_out.format(layer).rpartition(".")[0]
        mlp = model.module.get_submodule(parent)
        names += [
            f"{parent}.{name}" for name, module in mlp.named_modules() if type(module) in (nn.Linear, Conv1D)
        ]
    if not names:
        raise SequelaError(f"No linear layers were found in the MLPs of {model.name!r}.")
    return tuple(names)


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
        recording: The recorded pass, starting at the lowest of the layers.
        names: The names of the linear layers.
        prompts: The rows of the pass, as prompts with targets.
        recompute: True to recompute blocks in the backward pass instead of keeping their activations.

    Returns:
        The factors by layer name, on the model's device, and the losses in nats per token, `[rows]`.
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
    """Applies the same change of weights to all rows of a batch, without materializing it.

    Gradients flow to the updates.

    Args:
        model: The model.
        updates: The updates by the names of linear layers.
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
    """Applies to each row of a batch its own change of weights.

    Gradients flow to the changes. Batches must have as many rows as the changes.
    """

    def hook(change: GradientFactors) -> OutputHook:
        def with_change(inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
            projected = inputs.float() @ change.inputs.transpose(1, 2).to(inputs.device)
            return outputs + (projected @ change.gradients.to(inputs.device)).to(outputs.dtype)

        return with_change

    with hooked(model, {name: hook(change) for name, change in changes.items()}):
        yield
