"""The model that answers in an edit's scope: low-rank adapters on MLP output projections of a base model.

SERAC's counterfactual model is a small one that is trained whole (Mitchell et al. 2022). Here it is a model
of any size with adapters on its upper MLPs: the edited model's own base, unless another one is named, so that
every model has one, its tokenizer fits, and what is stored is small.
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
    """`y + B A x` on MLP output projections; B is zero at the beginning, so that nothing is changed.

    Args:
        model: Whose projections.
        layers: In which layers.
        rank: Of `B A`.
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
        """For the length of a block the model has the adapters; gradients flow to them."""

        def hook(name: str) -> OutputHook:
            def adapted(inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
                a, b = self.a[name].to(inputs.device), self.b[name].to(inputs.device)
                added: torch.Tensor = inputs.float() @ a.T @ b.T
                return outputs + added.to(outputs.dtype)

            return adapted

        with hooked(model, {module: hook(name) for name, module in self.modules_of.items()}):
            yield

    def delta(self, model: LanguageModel) -> Delta:
        """The adapters as a change of the model's weights."""
        return Delta(
            model.fingerprint,
            {
                f"{module}.weight": LowRank(self.b[name].detach().clone(), self.a[name].detach().clone())
                for name, module in self.modules_of.items()
                if bool(self.b[name].any())
            },
        )

    def on(self, model: LanguageModel) -> EditedModel:
        """The counterfactual model."""
        return EditedModel(model, self.delta(model))


def check_vocabulary(model: LanguageModel, counterfactual: LanguageModel) -> None:
    """Refuses a counterfactual model that reads other tokens.

    Raises:
        BadInputError: It has another vocabulary.
    """
    if counterfactual.tokenizer.get_vocab() != model.tokenizer.get_vocab():
        raise BadInputError(
            f"{counterfactual.name!r} can't answer for {model.name!r}: its tokenizer has another vocabulary.",
            hint="Name a smaller model of the same family, or none: then the model itself is adapted.",
        )
