"""Running a model's blocks one by one, with the arguments that the model itself passes to them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sequela.models.forward.batch import Batch
from sequela.models.language_model import LanguageModel


@dataclass(frozen=True)
class BlockInputs:
    """The inputs of the blocks for given tokens and positions.

    Args:
        hidden: The input of block 0, `[rows, width, d]`.
        arguments: The keyword arguments of every block (positions, rotary tables, masks).
    """

    hidden: torch.Tensor
    arguments: tuple[dict[str, Any], ...]


@torch.no_grad()
def capture_block_inputs(model: LanguageModel, batch: Batch) -> BlockInputs:
    """Embeds tokens and captures the arguments of each block, without running any block.

    It supports every family whose blocks return bare hidden states (all but GPT-J): the model's own code
    prepares the arguments.
    """
    blocks = model.family.block_list(model.module)
    hidden: list[torch.Tensor] = []
    arguments: list[dict[str, Any]] = []

    def identity(block: nn.Module) -> Callable[..., Any]:
        names = argument_names(block)

        def forward(*args: Any, **kwargs: Any) -> Any:
            hidden.append(args[0])
            arguments.append({**dict(zip(names, args[1:], strict=False)), **kwargs})
            return args[0]

        return forward

    with ExitStack() as stack:
        for block in blocks:
            stack.enter_context(ForwardReplaced(block, identity(block)))
        model.module.base_model(input_ids=batch.ids, position_ids=batch.positions, use_cache=False)
    return BlockInputs(hidden[0], tuple(arguments))


def argument_names(block: nn.Module) -> list[str]:
    """Returns the names of a block's arguments after the hidden states; GPT-2 passes some by position."""
    return list(inspect.signature(block.forward).parameters)[1:]


def block_output(output: Any) -> torch.Tensor:
    """Returns the hidden states from a block's output, which is bare or a tuple."""
    hidden = output[0] if isinstance(output, tuple) else output
    assert isinstance(hidden, torch.Tensor)
    assert hidden.dim() == 3
    return hidden


class ForwardReplaced:
    """A context manager that replaces a module's `forward`; hooks on the module still run.

    So do accelerate's hooks, which load offloaded weights: they wrap the module's own `forward`.

    Args:
        module: The module.
        forward: The replacement.
    """

    def __init__(self, module: nn.Module, forward: Callable[..., Any]) -> None:
        self.module = module
        self.forward = forward
        self._name = "_old_forward" if hasattr(module, "_hf_hook") else "forward"
        self._before: Callable[..., Any] | None = None

    def __enter__(self) -> None:
        self._before = vars(self.module).get(self._name)
        vars(self.module)[self._name] = self.forward

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            del vars(self.module)[self._name]
        else:
            vars(self.module)[self._name] = self._before
