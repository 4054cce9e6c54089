"""The counterfactual model: a base model with low-rank adapters on its MLP output projections.

SERAC's counterfactual model is a small model with all weights trained (Mitchell et al. 2022). Here it is a
model of any size with adapters on its upper MLPs: by default the edited model's own base, so that every model
has one, its tokenizer fits, and the saved network is small.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from sequela.core.errors import BadInputError
from sequela.edited import Delta, EditedModel, LowRank
from sequela.models import LanguageModel
from sequela.models.forward.hooks import OutputHook, hooked


class Adapters(nn.Module):
    """Adapters `y + B A x` on MLP output projections; B is initialized to zero.

    Args:
        model: The model with the projections.
        layers: The layers with adapters.
        rank: The rank of `B A`.
    """

    def __init__(self, model: LanguageModel, layers: tuple[int, ...], rank: int) -> None:
        super().__init__()
        self.modules_of = {f"layer_{layer}": model.family.mlp_out.format(layer) for layer in layers}
        self.a = nn.ParameterDict(
            {
                name: nn.Parameter(nn.init.kaiming_uniform_(torch.empty(rank, model.key_size), a=5**0.5))
                for name in self.modules_of
            }
        )
        self.b = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(model.hidden_size, rank)) for name in self.modules_of}
        )

    @contextmanager
    def in_force(self, model: LanguageModel) -> Iterator[None]:
        """Applies the adapters to the model in a context; gradients flow to them."""

        def hook(name: str) -> OutputHook:
            def adapted(inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
                a, b = self.a[name].to(inputs.device), self.b[name].to(inputs.device)
                added: torch.Tensor = inputs.float() @ a.T @ b.T
                return outputs + added.to(outputs.dtype)

            return adapted

        with hooked(model, {module: hook(name) for name, module in self.modules_of.items()}):
            yield

    def delta(self, model: LanguageModel) -> Delta:
        """Returns the adapters as a change of the model's weights."""
        return Delta(
            model.fingerprint,
            {
                f"{module}.weight": LowRank(self.b[name].detach().clone(), self.a[name].detach().clone())
                for name, module in self.modules_of.items()
                if bool(self.b[name].any())
            },
        )

    def on(self, model: LanguageModel) -> EditedModel:
        """Returns the counterfactual model."""
        return EditedModel(model, self.delta(model))


def check_vocabulary(model: LanguageModel, counterfactual: LanguageModel) -> None:
    """Rejects a counterfactual model with another vocabulary.

    Raises:
        BadInputError: The vocabularies differ.
    """
    if counterfactual.tokenizer.get_vocab() != model.tokenizer.get_vocab():
        raise BadInputError(
            f"{counterfactual.name!r} can't answer for {model.name!r}: its tokenizer has another vocabulary.",
            hint="Name a smaller model of the same family, or none to adapt the model itself.",
        )
