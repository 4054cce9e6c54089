"""Running the upper part of a model only.

An edit at layer L leaves every hidden state below L as it was. One full pass is
recorded; afterwards the blocks from L up can be run again and again from other
hidden states. It works on every family alike, since each block is given the very
arguments (masks, positions, rotary tables) that the model gave it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sequela.models.batch import Batch
from sequela.models.language_model import LanguageModel


@dataclass(frozen=True)
class Recording:
    """One full pass, to be continued from block `first` on.

    Args:
        model: The model that was run.
        first: The lowest block that can be run again.
        hidden: What entered that block, `[rows, longest, d]`.
        final: What left the last block, `[rows, longest, d]`.
        arguments: The keyword arguments of every block from `first` on.
    """

    model: LanguageModel
    first: int
    hidden: torch.Tensor
    final: torch.Tensor
    arguments: tuple[dict[str, Any], ...]

    def run(self, hidden: torch.Tensor | None = None) -> torch.Tensor:
        """Runs blocks `first` to the last from given hidden states (by default the recorded ones).

        Args:
            hidden: `[rows, longest, d]`, rows and positions as recorded.

        Returns:
            What leaves the last block, `[rows, longest, d]`, before the final norm.
        """
        hidden = self.hidden if hidden is None else hidden
        blocks = self.model.family.block_list(self.model.module)
        for block, arguments in zip(blocks[self.first :], self.arguments, strict=True):
            hidden = block_output(block(hidden, **arguments))
        return hidden


def record(model: LanguageModel, batch: Batch, first: int) -> Recording:
    """Runs a batch once through the whole model, remembering what block `first` and above were given.

    Args:
        model: The model, with whatever edits are in force.
        batch: The rows.
        first: The lowest block to be run again later; the number of layers means none.
    """
    blocks = model.family.block_list(model.module)
    hidden: list[torch.Tensor] = []
    final: list[torch.Tensor] = []
    arguments: list[dict[str, Any]] = []

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not arguments:
            hidden.append(args[0])
        arguments.append({**kwargs, "past_key_values": None, "use_cache": False})

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        final.append(block_output(output))

    hooks = [block.register_forward_pre_hook(before, with_kwargs=True) for block in blocks[first:]]
    hooks.append(blocks[-1].register_forward_hook(after))
    try:
        with torch.no_grad():
            run_blocks(model, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return Recording(model, first, hidden[0] if hidden else final[0], final[0], tuple(arguments))


def run_blocks(model: LanguageModel, batch: Batch) -> torch.Tensor:
    """Runs the whole model without its head; returns `[rows, longest, d]` after the final norm."""
    output = model.module.base_model(input_ids=batch.ids, position_ids=batch.positions, use_cache=False)
    hidden: torch.Tensor = output.last_hidden_state
    return hidden


def block_output(output: Any) -> torch.Tensor:
    """The hidden states a block returned: some return them bare, some first in a tuple."""
    hidden = output[0] if isinstance(output, tuple) else output
    assert isinstance(hidden, torch.Tensor)
    assert hidden.dim() == 3
    return hidden
