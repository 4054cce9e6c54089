"""How a limit for the memory of the whole process is divided."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from sequela.core.errors import SequelaError
from sequela.core.precision import SCORING_DTYPE
from sequela.inference.torch.lm_head import POSITIONS
from sequela.inference.torch.packed_linear import linears_bytes, packs_linears
from sequela.models import LanguageModel

MIB = 2**20
ALLOWANCE = 1024 * MIB
"""What a process holds besides the model and the requests: Python, PyTorch and the other libraries
(about 500 MiB), data sets, key statistics, an editor at work."""

MIN_REQUEST_BYTES = 128 * MIB
"""Less room for requests isn't worth beginning with."""

MIN_TOKENS = 256  # but with fewer tokens than this at once, weights are read too often
LOGITS = 3  # so many numbers for each logit while some positions are read
WIDTHS = 12  # about how many numbers as wide as an MLP's inside a token needs while a block runs


@dataclass(frozen=True)
class WorkingMemory:
    """Room for what exists only while requests are answered.

    Args:
        size: Bytes for activations at once, and again for keys and values of what is generated.
        most_tokens: No more tokens than this at once, however much room: beyond, nothing is gained.
        near: On processors, no more tokens at once than make an MLP's inside of so many bytes: it stays
            in the cache.
        most_rows: No more texts than this are continued at once.
        pack_weights: Whether the blocks' weights may be in memory a second time, packed (`packed_linear.py`).
    """

    size: int = 1024 * MIB
    most_tokens: int = 8192
    near: int = 3 * MIB
    most_rows: int = 128
    pack_weights: bool = True

    def tokens_at_once(self, model: LanguageModel) -> int:
        """How many tokens may go through the model together."""
        bytes_inside = model.key_size * model.dtype.itemsize
        most = min(self.most_tokens, self.size // (WIDTHS * bytes_inside))
        if model.device.type == "cpu":
            most = min(most, max(MIN_TOKENS, self.near // bytes_inside))
        return max(1, most)

    def tokens_kept(self, model: LanguageModel) -> int:
        """For how many tokens keys and values may be kept while texts are generated."""
        return max(1, self.size // model.key_value_bytes)


@dataclass(frozen=True)
class MemoryPlan:
    """How a limit for the memory of a whole process is shared out, in bytes.

    Args:
        weights: The model's weights.
        packed: The second, packed copy of the blocks' weights; 0 if there is none.
        reading: The head in fp32, and logits.
        allowance: Everything else: see `ALLOWANCE`.
        working: What requests may take; its `size` is counted twice, see there.
        depth_cache: Hidden states kept in memory; 0 if none are.
    """

    weights: int
    packed: int
    reading: int
    allowance: int
    working: WorkingMemory
    depth_cache: int

    @classmethod
    def within(cls, limit: int, model: LanguageModel, keeps_states: bool = False) -> MemoryPlan:
        """Shares out a limit.

        Weights, reading and allowance come first. The packed copies are made if, beside them, no less
        than `MIN_REQUEST_BYTES` remains for requests; else the blocks go without. Half of what remains is for
        requests, up to what an engine takes without a limit, and the rest for hidden states.

        Args:
            limit: The most bytes that the process shall hold.
            model: The model.
            keeps_states: Whether hidden states are kept from one checkpoint to the next.

        Raises:
            SequelaError: The limit is too low; it says what is needed.
        """
        weights = _bytes_of(model.module)
        reading = _reading_bytes(model)
        packed = linears_bytes(model) if packs_linears(model.device, model.dtype) else 0
        needed = weights + reading + ALLOWANCE + MIN_REQUEST_BYTES
        if limit < needed:
            raise SequelaError(
                f"A limit of {in_units(limit)} is too low for {model.name}: at least {in_units(needed)} are "
                f"needed ({in_units(weights)} for the weights, {in_units(reading)} to read logits, "
                f"{in_units(ALLOWANCE)} for the program and the editor, {in_units(MIN_REQUEST_BYTES)} for "
                "requests).",
                hint="Raise --memory, or use a smaller model or bfloat16.",
            )
        pack = limit >= needed + packed
        packed = packed if pack else 0
        room = limit - weights - reading - ALLOWANCE - packed
        size = min(WorkingMemory.size, room // 4 if keeps_states else room // 2)
        working = WorkingMemory(size, pack_weights=pack)
        return cls(weights, packed, reading, ALLOWANCE, working, room - 2 * size if keeps_states else 0)

    def summary(self) -> str:
        """The plan in one line."""
        copies = (
            f"{in_units(self.packed)} packed copies of them" if self.packed else "no packed copies of them"
        )
        kept = f", {in_units(self.depth_cache)} hidden states" if self.depth_cache else ""
        return (
            f"memory: {in_units(self.weights)} weights, {copies}, {in_units(self.reading)} logits, "
            f"{in_units(2 * self.working.size)} requests{kept}, {in_units(self.allowance)} everything else"
        )


def working_memory(limit: int | None, model: LanguageModel) -> WorkingMemory:
    """Room for requests where nothing is kept between them: within a limit, or the usual.

    Raises:
        SequelaError: The limit is too low.
    """
    return WorkingMemory() if limit is None else MemoryPlan.within(limit, model).working


def in_units(size: int) -> str:
    """Bytes as a person says them, rounded up: MiB, from 1 GiB on GiB."""
    return f"{math.ceil(100 * size / 2**30) / 100:.2f} GiB" if size >= 2**30 else f"{-(-size // MIB)} MiB"


def _bytes_of(module: nn.Module) -> int:
    return sum(weight.numel() * weight.itemsize for weight in module.parameters())  # tied ones come once


def _reading_bytes(model: LanguageModel) -> int:
    """The head in fp32, once more as it is packed, and the logits that are held at a time."""
    head: torch.Tensor = model.module.get_submodule(model.family.unembed).weight
    copies = packs_linears(model.device, SCORING_DTYPE) + (head.dtype != SCORING_DTYPE)
    return SCORING_DTYPE.itemsize * (copies * head.numel() + LOGITS * POSITIONS * head.shape[0])
