"""Driving a model's blocks one by one, each given what the model itself would give it."""

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
    """What stands before the blocks for given tokens and positions.

    Args:
        hidden: What enters block 0, `[rows, width, d]`.
        arguments: The keyword arguments of every block (positions, rotary tables, masks).
    """

    hidden: torch.Tensor
    arguments: tuple[dict[str, Any], ...]


@torch.no_grad()
def capture_block_inputs(model: LanguageModel, batch: Batch) -> BlockInputs:
    """Embeds tokens and learns what each block is given, without running any block.

    It works alike on every family whose blocks return bare hidden states (all but GPT-J): the model's
    own code prepares the arguments.
    """
    blocks = model.family.block_list(model.module)
    hidden: list[torch.Tensor] = []
    arguments: list[dict[str, Any]] = []

    def pass_by(block: nn.Module) -> Callable[..., Any]:
        names = argument_names(block)

        def forward(*args: Any, **kwargs: Any) -> Any:
            hidden.append(args[0])
            arguments.append({**dict(zip(names, args[1:], strict=False)), **kwargs})
            return args[0]

        return forward

    with ExitStack() as stack:
        for block in blocks:
            stack.enter_context(ForwardReplaced(block, pass_by(block)))
        model.module.base_model(input_ids=batch.ids, position_ids=batch.positions, use_cache=False)
    return BlockInputs(hidden[0], tuple(arguments))


def argument_names(block: nn.Module) -> list[str]:
    """Names of a block's arguments after the hidden states; GPT-2 gives some by position."""
    return list(inspect.signature(block.forward).parameters)[1:]


def block_output(output: Any) -> torch.Tensor:
    """The hidden states a block returned: some return them bare, some first in a tuple."""
    hidden = output[0] if isinstance(output, tuple) else output
    assert isinstance(hidden, torch.Tensor)
    assert hidden.dim() == 3
    return hidden


class ForwardReplaced:
    """While entered, a module computes something else; hooks on it still run.

    Args:
        module: The module.
        forward: What it computes instead.
    """

    def __init__(self, module: nn.Module, forward: Callable[..., Any]) -> None:
        self.module = module
        self.forward = forward
        self._before: Callable[..., Any] | None = None

    def __enter__(self) -> None:
        self._before = vars(self.module).get("forward")
        vars(self.module)["forward"] = self.forward

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            del vars(self.module)["forward"]
        else:
            vars(self.module)["forward"] = self._before
