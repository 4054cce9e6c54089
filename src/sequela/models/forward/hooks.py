"""Forward hooks that are in force like any other change: in order, taken back exactly, able to step back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from sequela.core.errors import SequelaError
from sequela.models.language_model import LanguageModel

OutputHook = Callable[[torch.Tensor, torch.Tensor], torch.Tensor | None]
"""From what entered a module and what leaves it, `[rows, width, ...]`, what is to leave it; None: as is."""


class InstalledHooks:
    """Modules whose outputs something watches.

    Args:
        model: The model; the change is entered in its list.
        output_hooks: By the module's name, what watches it.
    """

    def __init__(self, model: LanguageModel, output_hooks: Mapping[str, OutputHook]) -> None:
        self._model = model
        self._output_hooks = output_hooks
        self._handles: list[RemovableHandle] = []
        model.changes.append(self)
        self.toggle()

    def revert(self) -> None:
        """Takes the hooks out.

        Raises:
            SequelaError: A later change is still in force.
        """
        if not self._model.changes or self._model.changes[-1] is not self:
            raise SequelaError("What watches activations can't be taken out: it isn't the last change.")
        self._model.changes.pop()
        if self._handles:
            self.toggle()

    def toggle(self) -> None:
        """Takes the hooks out, or, called again, puts them in."""
        if self._handles:
            for handle in self._handles:
                handle.remove()
            self._handles = []
            return
        for name, hook in self._output_hooks.items():
            module = self._model.module.get_submodule(name)
            self._handles.append(module.register_forward_hook(_hook(hook)))


@contextmanager
def hooked(model: LanguageModel, output_hooks: Mapping[str, OutputHook]) -> Iterator[None]:
    """Watches modules for the length of a block."""
    installed = InstalledHooks(model, output_hooks)
    try:
        yield
    finally:
        installed.revert()


def _hook(
    output_hook: OutputHook,
) -> Callable[[nn.Module, tuple[Any, ...], torch.Tensor], torch.Tensor | None]:
    def hook(_: nn.Module, inputs: tuple[Any, ...], outputs: torch.Tensor) -> torch.Tensor | None:
        return output_hook(inputs[0], outputs)

    return hook
