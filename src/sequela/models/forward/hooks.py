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

Watch = Callable[[torch.Tensor, torch.Tensor], torch.Tensor | None]
"""From what entered a module and what leaves it, `[rows, width, ...]`, what is to leave it; None: as is."""


class Watched:
    """Modules whose outputs something watches.

    Args:
        model: The model; the change is entered in its list.
        watches: By the module's name, what watches it.
    """

    def __init__(self, model: LanguageModel, watches: Mapping[str, Watch]) -> None:
        self._model = model
        self._watches = watches
        self._handles: list[RemovableHandle] = []
        model.changes.append(self)
        self.exchange()

    def revert(self) -> None:
        """Takes the hooks out.

        Raises:
            SequelaError: A later change is still in force.
        """
        if not self._model.changes or self._model.changes[-1] is not self:
            raise SequelaError("What watches activations can't be taken out: it isn't the last change.")
        self._model.changes.pop()
        if self._handles:
            self.exchange()

    def exchange(self) -> None:
        """Takes the hooks out, or, called again, puts them in."""
        if self._handles:
            for handle in self._handles:
                handle.remove()
            self._handles = []
            return
        for name, watch in self._watches.items():
            module = self._model.module.get_submodule(name)
            self._handles.append(module.register_forward_hook(_hook(watch)))


@contextmanager
def watching(model: LanguageModel, watches: Mapping[str, Watch]) -> Iterator[None]:
    """Watches modules for the length of a block."""
    watched = Watched(model, watches)
    try:
        yield
    finally:
        watched.revert()


def _hook(watch: Watch) -> Callable[[nn.Module, tuple[Any, ...], torch.Tensor], torch.Tensor | None]:
    def hook(_: nn.Module, entering: tuple[Any, ...], leaving: torch.Tensor) -> torch.Tensor | None:
        return watch(entering[0], leaving)

    return hook
