"""Forward hooks as a `Change`: in force in order, revertible exactly, and suspendable."""

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
"""A function of a module's input and output, `[rows, width, ...]`; returns a new output; None keeps it."""


class InstalledHooks:
    """Hooks on the outputs of modules.

    Args:
        model: The model; the change is appended to its list.
        output_hooks: The hooks by the module's name.
    """

    def __init__(self, model: LanguageModel, output_hooks: Mapping[str, OutputHook]) -> None:
        self._model = model
        self._output_hooks = output_hooks
        self._handles: list[RemovableHandle] = []
        model.changes.append(self)
        self.toggle()

    def revert(self) -> None:
        """Removes the hooks.

        Raises:
            SequelaError: A later change is still in force.
        """
        if not self._model.changes or self._model.changes[-1] is not self:
            raise SequelaError("These hooks can't be reverted: they aren't the last change in force.")
        self._model.changes.pop()
        if self._handles:
            self.toggle()

    def toggle(self) -> None:
        """Removes the hooks or, called again, installs them."""
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
    """Installs hooks within the `with` block."""
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
