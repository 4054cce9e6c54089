"""Replay of the upper part of a model.

An edit at layer L leaves every hidden state below L unchanged and, by causality, every position before the
edited token. One full pass is recorded; then the blocks from L up can be run repeatedly from other hidden
states, only at the positions that can change. This works for every family, since each block gets the same
arguments (positions, rotary tables, masks) that the model passed to it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import Cache, DynamicCache

from sequela.core.precision import SCORING_DTYPE
from sequela.models.forward.batch import Batch, index_of
from sequela.models.forward.blocks import argument_names, block_output
from sequela.models.forward.onednn_linear import onednn_linears
from sequela.models.forward.suffix import FixedPrefix, SuffixBatch
from sequela.models.language_model import LanguageModel

ApplyChange = Callable[[], AbstractContextManager[None]]
"""A function that returns a context manager that applies a change; it may be called repeatedly."""


@dataclass(frozen=True)
class ForwardRecord:
    """A recorded pass that can be continued from block `first` on.

    Args:
        model: The model that was run.
        first: The lowest block that can be run again.
        starts: The first position of each row that is run again; column 0 of `hidden` and `final`.
        hidden: The input of block `first`, `[rows, width, d]`.
        final: The output of the last block, `[rows, width, d]`.
        arguments: The keyword arguments of every block from `first` on.
    """

    model: LanguageModel
    first: int
    starts: tuple[int, ...]
    hidden: torch.Tensor
    final: torch.Tensor
    arguments: tuple[dict[str, Any], ...]

    def replay(
        self, hidden: torch.Tensor | None = None, recomputed: ApplyChange | None = None
    ) -> torch.Tensor:
        """Runs the blocks from `first` on, from given hidden states (by default the recorded ones).

        Args:
            hidden: `[rows, width, d]`, rows and positions as recorded.
            recomputed: If given, each block stores only its input and is run again in the backward pass
                (gradient checkpointing). Must put the changes that are in force now in force there.

        Returns:
            The output of the last block, `[rows, width, d]`, before the final norm, on the model's device.
        """
        hidden = self.hidden if hidden is None else hidden
        blocks = self.model.family.block_list(self.model.module)[self.first :]
        with onednn_linears(blocks):
            for block, arguments in zip(blocks, self.arguments, strict=True):
                if recomputed is None:
                    hidden = block_output(block(hidden, **arguments))
                else:
                    hidden = _checkpointed(block, hidden, arguments, recomputed)
        return hidden.to(self.model.device)

    @property
    def n_bytes(self) -> int:
        """The size of its tensors in bytes; tensors shared by several blocks count once."""
        sizes = {tensor.data_ptr(): tensor.nbytes for tensor in _tensors(self.arguments)}
        return self.hidden.nbytes + self.final.nbytes + sum(sizes.values())

    def advance(self) -> ForwardRecord:
        """Runs one block; returns the same pass, to be continued from the next block on."""
        block = self.model.family.block(self.model.module, self.first)
        with torch.no_grad(), onednn_linears([block]):
            hidden = block_output(block(self.hidden, **self.arguments[0]))
        return dataclasses.replace(self, first=self.first + 1, hidden=hidden, arguments=self.arguments[1:])

    def select_rows(self, rows: torch.Tensor) -> ForwardRecord:
        """Returns the same pass for some of its rows, given by indices `[kept]`."""
        arguments = tuple(
            {name: _select_rows(value, rows, len(self.starts)) for name, value in block_arguments.items()}
            for block_arguments in self.arguments
        )
        starts = tuple(self.starts[row] for row in rows.tolist())
        return ForwardRecord(
            self.model,
            self.first,
            starts,
            self.hidden[index_of(self.hidden, rows)],
            self.final[rows],
            arguments,
        )


def _checkpointed(
    block: nn.Module, hidden: torch.Tensor, arguments: dict[str, Any], recomputed: ApplyChange
) -> torch.Tensor:
    """Runs a block that stores only its input for the backward pass."""

    def run(inputs: torch.Tensor) -> torch.Tensor:
        return block_output(block(inputs, **arguments))

    @contextmanager
    def again() -> Iterator[None]:
        with recomputed(), onednn_linears([block]):
            yield

    outputs: torch.Tensor = checkpoint(
        run,
        hidden,
        use_reentrant=False,
        preserve_rng_state=False,  # there is no randomness in evaluation mode
        context_fn=lambda: (nullcontext(), again()),
    )
    return outputs


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """Yields the tensors in a block's arguments."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, FixedPrefix):
        yield from (value.prefix_keys, value.prefix_values)
    elif isinstance(value, (tuple, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)


def _select_rows(value: Any, rows: torch.Tensor, n_rows: int) -> Any:
    """Selects rows of a block's argument; a value that is the same for all rows is unchanged."""
    if isinstance(value, FixedPrefix):
        (rows,) = index_of(value.prefix_keys, rows)
        return FixedPrefix(value.prefix_keys[rows], value.prefix_values[rows])
    if isinstance(value, tuple):
        return tuple(_select_rows(part, rows, n_rows) for part in value)
    by_row = isinstance(value, torch.Tensor) and value.dim() >= 2 and len(value) == n_rows
    return value[index_of(value, rows)] if by_row else value


def record_forward(
    model: LanguageModel, batch: Batch, first: int, starts: Sequence[int] | None = None
) -> ForwardRecord:
    """Runs a batch once through the whole model and records the arguments of the blocks from `first` on.

    Args:
        model: The model, with the edits in force.
        batch: The rows.
        first: The lowest block to be run again later; the number of layers means none.
        starts: The first position of each row to be run again; keys and values of earlier positions are
            kept. Without it, all positions are run again. With a sliding window shorter than the rows,
            earlier positions can't be kept and all are run again; see `starts` of the record.
    """
    blocks = model.family.block_list(model.module)
    if starts is not None and not _window_covers(model, batch):
        starts = None
    cache = None if starts is None else DynamicCache()
    hidden: list[torch.Tensor] = []
    final: list[torch.Tensor] = []
    arguments: list[dict[str, Any]] = []

    def before(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not arguments:
            hidden.append(args[0])
        arguments.append({**dict(zip(argument_names(block), args[1:], strict=False)), **kwargs})

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        final.append(block_output(output).to(model.device))

    hooks = [block.register_forward_pre_hook(before, with_kwargs=True) for block in blocks[first:]]
    hooks.append(blocks[-1].register_forward_hook(after))
    try:
        with torch.no_grad():
            run_blocks(model, batch, cache)
    finally:
        for hook in hooks:
            hook.remove()
    block_input = hidden[0] if hidden else final[0]
    if starts is None or cache is None:
        zeros = (0,) * len(batch.lengths)
        return ForwardRecord(model, first, zeros, block_input, final[0], tuple(arguments))
    suffix = SuffixBatch.of(batch, starts)
    kept = tuple(
        suffix.arguments(kwargs, cache, first + i, block_input.dtype) for i, kwargs in enumerate(arguments)
    )
    return ForwardRecord(model, first, tuple(starts), suffix.cut(block_input), suffix.cut(final[0]), kept)


def run_blocks(model: LanguageModel, batch: Batch, cache: Cache | None = None) -> torch.Tensor:
    """Runs the whole model without its head; returns `[rows, longest, d]` after the final norm."""
    with onednn_linears([model.module.base_model]):
        output = model.module.base_model(
            input_ids=batch.ids,
            position_ids=batch.positions,
            past_key_values=cache,
            use_cache=cache is not None,
        )
    hidden: torch.Tensor = output.last_hidden_state
    return hidden


def read_logits(model: LanguageModel, hidden: torch.Tensor) -> torch.Tensor:
    """Returns fp32 logits `[..., vocabulary]` from the last block's output, `[..., d]`."""
    with onednn_linears([model.module.get_submodule(model.family.unembed)]):
        return model.family.logits(model.module, hidden).to(model.device, SCORING_DTYPE)


def _window_covers(model: LanguageModel, batch: Batch) -> bool:
    """Returns whether no row is longer than the model's sliding window, so that it has no effect."""
    window: int | None = getattr(model.module.config, "sliding_window", None)
    return window is None or batch.ids.shape[1] <= window
